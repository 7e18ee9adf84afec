// Debian's event-config.h defines _GNU_SOURCE and Swift's Glibc module does not. Freezing the
// feature set first keeps both views of the system headers the same.
#include <features.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
