// What kernels newer than the installed headers added: the baselines call what the running kernel has.

#ifndef CBASELINE_KERNEL_H
#define CBASELINE_KERNEL_H

#include <linux/userfaultfd.h>
#include <stdint.h>

#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00) // Linux 6.1
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1 // Linux 5.11
#endif
#ifndef UFFDIO_POISON // Linux 6.6
struct uffdio_poison {
    struct uffdio_range range;
    __u64 mode;
    __s64 updated;
};
#define UFFDIO_POISON _IOWR(UFFDIO, 0x08, struct uffdio_poison)
#endif
#ifndef UFFDIO_MOVE // Linux 6.8
struct uffdio_move {
    __u64 dst;
    __u64 src;
    __u64 len;
    __u64 mode;
    __s64 move;
};
#define UFFDIO_MOVE _IOWR(UFFDIO, 0x05, struct uffdio_move)
#endif

// Linux 6.7, of <linux/fs.h>, which clashes with C library headers: so under names of our own.
struct bench_page_region {
    __u64 start;
    __u64 end;
    __u64 categories;
};
struct bench_pm_scan_arg {
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
#define BENCH_PAGEMAP_SCAN _IOWR('f', 16, struct bench_pm_scan_arg)
#define BENCH_PAGE_IS_WRITTEN ((__u64)1 << 1)
#define BENCH_PM_SCAN_WP_MATCHING ((__u64)1 << 0)
#define BENCH_PM_SCAN_CHECK_WPASYNC ((__u64)1 << 1)
#define BENCH_FEATURE_WP_ASYNC ((__u64)1 << 15)

#endif
