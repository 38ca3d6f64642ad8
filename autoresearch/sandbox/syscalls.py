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
    fadvise64 221 223, readahead 187 213, flock 73 32, chmod 90 -1, fchmod 91 52, fchmodat 268 53, fchmodat2 452 452,
    chown 92 -1, lchown 94 -1, fchown 93 55, fchownat 260 54, utime 132 -1, utimes 235 -1, futimesat 261 -1,
    utimensat 280 88
    """
)
LISTENERS = _read_table("listen 50 201, accept 43 202, accept4 288 242")
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
KNOWN = FOREIGN_PROCESSES | CARRY_OVER | SYSTEM | ATTRIBUTES | PAGE_CACHE | PRETENDED
KNOWN |= SERVERS | CONNECT | FORKS | CONDITIONAL


def number(name: str) -> int:
    """Return the number of a system call in KNOWN on this machine; -1 if it has none."""
    return KNOWN[name][0 if kernel.MACHINE == "x86_64" else 1]
