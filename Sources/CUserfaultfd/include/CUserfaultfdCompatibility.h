// What kernels newer than the installed headers added to <linux/userfaultfd.h>, and proof that the
// layouts are the kernel's. Included by CUserfaultfd.h only.

#ifndef CUSERFAULTFD_COMPATIBILITY_H
#define CUSERFAULTFD_COMPATIBILITY_H

// Linux 5.7
#ifndef UFFDIO_WRITEPROTECT
#define _UFFDIO_WRITEPROTECT (0x06)
struct uffdio_writeprotect {
    struct uffdio_range range;
    __u64 mode;
};
#define UFFDIO_WRITEPROTECT _IOWR(UFFDIO, _UFFDIO_WRITEPROTECT, struct uffdio_writeprotect)
#endif

// Linux 5.11
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

// Linux 5.13
#ifndef UFFDIO_CONTINUE
#define _UFFDIO_CONTINUE (0x07)
struct uffdio_continue {
    struct uffdio_range range;
    __u64 mode;
    __s64 mapped;
};
#define UFFDIO_CONTINUE_MODE_DONTWAKE ((__u64)1 << 0)
#define UFFDIO_CONTINUE _IOWR(UFFDIO, _UFFDIO_CONTINUE, struct uffdio_continue)
#endif

// Linux 6.1
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC 0xAA
#define USERFAULTFD_IOC_NEW _IO(USERFAULTFD_IOC, 0x00)
#endif

// Linux 6.6
#ifndef UFFDIO_POISON
#define _UFFDIO_POISON (0x08)
struct uffdio_poison {
    struct uffdio_range range;
    __u64 mode;
    __s64 updated;
};
#define UFFDIO_POISON _IOWR(UFFDIO, _UFFDIO_POISON, struct uffdio_poison)
#endif

// Linux 6.8
#ifndef UFFDIO_MOVE
#define _UFFDIO_MOVE (0x05)
struct uffdio_move {
    __u64 dst;
    __u64 src;
    __u64 len;
    __u64 mode;
    __s64 move;
};
#define UFFDIO_MOVE _IOWR(UFFDIO, _UFFDIO_MOVE, struct uffdio_move)
#endif

// Linux 6.7, of <linux/fs.h>, which clashes with C library headers: so under names of our own.
struct cuserfaultfd_page_region {
    __u64 start;
    __u64 end;
    __u64 categories;
};
struct cuserfaultfd_pm_scan_arg {
    __u64 size;
    __u64 flags;
    __u64 start;
    __u64 end;
    __u64 walk_end;
    __u64 vec;
    __u64 vec_len;
    __u64 max_pages;
    __u64 category_inverted;
    __u64 category_mask;
    __u64 category_anyof_mask;
    __u64 return_mask;
};
#define CUSERFAULTFD_PAGEMAP_SCAN _IOWR('f', 16, struct cuserfaultfd_pm_scan_arg)

_Static_assert(sizeof(struct cuserfaultfd_page_region) == 24, "layout of page_region");
_Static_assert(sizeof(struct cuserfaultfd_pm_scan_arg) == 96, "layout of pm_scan_arg");
_Static_assert(sizeof(struct uffdio_api) == 24, "layout of uffdio_api");
_Static_assert(sizeof(struct uffdio_range) == 16, "layout of uffdio_range");
_Static_assert(sizeof(struct uffdio_register) == 32, "layout of uffdio_register");
_Static_assert(sizeof(struct uffdio_copy) == 40, "layout of uffdio_copy");
_Static_assert(sizeof(struct uffdio_zeropage) == 32, "layout of uffdio_zeropage");
_Static_assert(sizeof(struct uffdio_writeprotect) == 24, "layout of uffdio_writeprotect");
_Static_assert(sizeof(struct uffdio_continue) == 32, "layout of uffdio_continue");
_Static_assert(sizeof(struct uffdio_poison) == 32, "layout of uffdio_poison");
_Static_assert(sizeof(struct uffdio_move) == 40, "layout of uffdio_move");

// Swift decodes messages by these offsets.
_Static_assert(sizeof(struct uffd_msg) == 32, "layout of uffd_msg");
_Static_assert(offsetof(struct uffd_msg, event) == 0, "offset of event");
_Static_assert(offsetof(struct uffd_msg, arg.pagefault.flags) == 8, "offset of flags");
_Static_assert(offsetof(struct uffd_msg, arg.pagefault.address) == 16, "offset of address");
_Static_assert(offsetof(struct uffd_msg, arg.pagefault.feat.ptid) == 24, "offset of ptid");
_Static_assert(offsetof(struct uffd_msg, arg.fork.ufd) == 8, "offset of ufd");
_Static_assert(offsetof(struct uffd_msg, arg.remap.from) == 8, "offset of from");
_Static_assert(offsetof(struct uffd_msg, arg.remap.to) == 16, "offset of to");
_Static_assert(offsetof(struct uffd_msg, arg.remap.len) == 24, "offset of len");
_Static_assert(offsetof(struct uffd_msg, arg.remove.start) == 8, "offset of start");
_Static_assert(offsetof(struct uffd_msg, arg.remove.end) == 16, "offset of end");

#endif
