"""Numbers of the system calls that the filter handles, grouped by their treatment."""

from autoresearch.sandbox import kernel


def _read_table(text: str) -> dict[str, tuple[int, int]]:
    """Read calls as `name number number`: on x86-64, and on aarch64 (-1: does not exist there)."""
    rows = (row.split() for row in text.split(","))
    return {name: (int(x86_64), int(aarch64)) for name, x86_64, aarch64 in rows}


FOREIGN_PROCESSES = _read_table(
    """
    ptrace 101 117, process_vm_readv 310 270, process_vm_writev 311 271, process_madvise 440 440,
    process_mrelease 448 448, pidfd_open 434 434, pidfd_getfd 438 438, pidfd_send_signal 424 424, kcmp 312 272,
    migrate_pages 256 238, perf_event_open 298 241
    """
)
CARRY_OVER = _read_table(
    """
    add_key 248 217, request_key 249 218, keyctl 250 219, shmget 29 194, shmctl 31 195, shmat 30 196, semget 64 190,
    semctl 66 191, semtimedop 220 192, semop 65 193, msgget 68 186, msgctl 71 187, msgrcv 70 188, msgsnd 69 189,
    mq_open 240 180, mq_unlink 241 181, inotify_add_watch 254 27, fanotify_init 300 262
    """
)
SYSTEM = _read_table(
    """
    io_uring_setup 425 425, io_uring_enter 426 426, io_uring_register 427 427, bpf 321 280, userfaultfd 323 282,
    truncate 76 45, mount 165 40, umount2 166 39, pivot_root 155 41, chroot 161 51, unshare 272 97, setns 308 268,
    open_tree 428 428, move_mount 429 429, fsopen 430 430, fsconfig 431 431, fsmount 432 432, fspick 433 433,
    mount_setattr 442 442, open_tree_attr 467 467, open_by_handle_at 304 265, kexec_load 246 104,
    kexec_file_load 320 294, init_module 175 105, finit_module 313 273, delete_module 176 106, swapon 167 224,
    swapoff 168 225, reboot 169 142, settimeofday 164 170, clock_settime 227 112, clock_adjtime 305 266,
    adjtimex 159 171, acct 163 89, quotactl 179 60, quotactl_fd 443 443, syslog 103 116, sethostname 170 161,
    setdomainname 171 162, vhangup 153 58, ioperm 173 -1, iopl 172 -1
    """
)
ATTRIBUTES = _read_table(
    """
    setxattr 188 5, lsetxattr 189 6, fsetxattr 190 7, removexattr 197 14, lremovexattr 198 15, fremovexattr 199 16,
    setxattrat 463 463, removexattrat 466 466, file_setattr 469 469
    """
)
# the pages of a shared file in memory would be a channel between cells
PAGE_CACHE = _read_table("mincore 27 232, cachestat 451 451, preadv2 327 286, pwritev2 328 287")
PRETENDED = _read_table(
    """
    fadvise64 221 223, readahead 187 213, flock 73 32, chown 92 -1, lchown 94 -1, fchown 93 55, fchownat 260 54
    """
)
TIMES = _read_table("utime 132 -1, utimes 235 -1, futimesat 261 -1, utimensat 280 88")
MODES = _read_table("chmod 90 -1, fchmod 91 52, fchmodat 268 53, fchmodat2 452 452")
ACCEPTS = _read_table("accept 43 202, accept4 288 242")
LISTENERS = ACCEPTS | _read_table("listen 50 201")
SERVERS = LISTENERS | _read_table("bind 49 200")
CONNECT = _read_table("connect 42 203")
FORKS = _read_table("fork 57 -1, vfork 58 -1")
CONDITIONAL = _read_table(
    """
    socket 41 198, socketpair 53 199, clone 56 220, clone3 435 435, prctl 157 167, fcntl 72 25, ioctl 16 29,
    kill 62 129, tkill 200 130, tgkill 234 131, rt_sigqueueinfo 129 138, rt_tgsigqueueinfo 297 240, prlimit64 302 261,
    sched_setaffinity 203 122, sched_setscheduler 144 119, sched_setparam 142 118, sched_setattr 314 274,
    move_pages 279 239, madvise 28 233, setpriority 141 140, ioprio_set 251 30, sendto 44 206, sendmsg 46 211,
    sendmmsg 307 269
    """
)
# what a cell may do that answers about text: compute, wait, and talk over sockets that it has
COMPUTING = _read_table(
    """
    brk 12 214, munmap 11 215, mremap 25 216, mprotect 10 226, futex 202 98, futex_waitv 449 449, futex_wake 454 454,
    futex_wait 455 455, futex_requeue 456 456, set_robust_list 273 99, get_robust_list 274 100, rseq 334 293,
    membarrier 324 283, clock_gettime 228 113, clock_getres 229 114, clock_nanosleep 230 115, nanosleep 35 101,
    gettimeofday 96 169, time 201 -1, times 100 153, getrusage 98 165, sched_yield 24 124, sched_getaffinity 204 123,
    sched_getscheduler 145 120, sched_getparam 143 121, sched_get_priority_max 146 125, sched_get_priority_min 147 126,
    getcpu 309 168, getpriority 140 141, getpid 39 172, gettid 186 178, getppid 110 173, getuid 102 174,
    geteuid 107 175, getgid 104 176, getegid 108 177, getrlimit 97 163, uname 63 160, sysinfo 99 179, getrandom 318 278,
    getcwd 79 17, rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136,
    rt_sigtimedwait 128 137, sigaltstack 131 132, restart_syscall 219 128, exit 60 93, exit_group 231 94,
    arch_prctl 158 -1, set_tid_address 218 96, poll 7 -1, ppoll 271 73, select 23 -1, pselect6 270 72,
    epoll_wait 232 -1, epoll_pwait 281 22, epoll_pwait2 441 441, recvmsg 47 212, recvfrom 45 207, sendmsg 46 211,
    sendto 44 206, fstat 5 80, wait4 61 260, waitid 247 95
    """
)
# what the supervisor decides by the descriptor (listener.py)
BY_DESCRIPTOR = _read_table(
    """
    read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, preadv 295 69, pwritev 296 70,
    mmap 9 222, close 3 57
    """
)
NAMED = _read_table(  # for messages
    """
    open 2 -1, openat 257 56, openat2 437 437, stat 4 -1, lstat 6 -1, newfstatat 262 79, statx 332 291, access 21 -1,
    faccessat 269 48, faccessat2 439 439, readlink 89 -1, readlinkat 267 78, getdents64 217 61, chdir 80 49,
    unlink 87 -1, unlinkat 263 35, mkdir 83 -1, mkdirat 258 34, rename 82 -1, renameat 264 38, renameat2 316 276,
    execve 59 221, execveat 322 281, pipe 22 -1, pipe2 293 59, memfd_create 319 279, eventfd 284 -1, eventfd2 290 19,
    epoll_create1 291 20, epoll_ctl 233 21, timerfd_create 283 85, mlock 149 228, mlock2 325 284, mlockall 151 230,
    dup 32 23, dup2 33 -1, dup3 292 24, statfs 137 43, fstatfs 138 44, fsync 74 82, ftruncate 77 46, fallocate 285 47,
    sendfile 40 71, splice 275 76, copy_file_range 326 285, remap_file_pages 216 234, lseek 8 62, msync 26 227,
    setrlimit 160 164
    """
)
KNOWN = FOREIGN_PROCESSES | CARRY_OVER | SYSTEM | ATTRIBUTES | PAGE_CACHE | PRETENDED | TIMES | MODES
KNOWN |= SERVERS | CONNECT | FORKS | CONDITIONAL | COMPUTING | BY_DESCRIPTOR | NAMED


def number(name: str) -> int:
    """Return the number of a system call in KNOWN on this machine; -1 if it has none."""
    return KNOWN[name][0 if kernel.MACHINE == "x86_64" else 1]


def name_of(call: int) -> str:
    """Return the name of a system call by its number on this machine; never the number, which could be a text."""
    return next((name for name in KNOWN if number(name) == call), "an unknown system call")
