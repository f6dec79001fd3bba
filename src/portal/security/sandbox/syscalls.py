"""Numbers of system calls: name, on x86_64, on aarch64 (`-` where there is none)."""

LAST = 450
"""What is newer than this (Linux 6.1) answers that it does not exist: every library has another way then."""

_REFUSED = """
_sysctl 156 -; acct 163 89; add_key 248 217; adjtimex 159 171; bpf 321 280; chroot 161 51
clock_adjtime 305 266; clock_settime 227 112; delete_module 176 106; fanotify_init 300 262
finit_module 313 273; fsconfig 431 431; fsmount 432 432; fsopen 430 430; fspick 433 433; init_module 175 105
io_uring_enter 426 426; io_uring_register 427 427; io_uring_setup 425 425; ioperm 173 -; iopl 172 -
kcmp 312 272; kexec_file_load 320 294; kexec_load 246 104; keyctl 250 219; lookup_dcookie 212 18
mbind 237 235; memfd_secret 447 447; migrate_pages 256 238; modify_ldt 154 -; mount 165 40
mount_setattr 442 442; move_mount 429 429; move_pages 279 239; name_to_handle_at 303 264; nfsservctl 180 42
open_by_handle_at 304 265; open_tree 428 428; perf_event_open 298 241; pidfd_getfd 438 438; pivot_root 155 41
process_vm_readv 310 270; process_vm_writev 311 271; ptrace 101 117; quotactl 179 60; quotactl_fd 443 443
reboot 169 142; request_key 249 218; set_mempolicy 238 237; set_mempolicy_home_node 450 450
setdomainname 171 162; sethostname 170 161; setns 308 268; settimeofday 164 170; shmget 29 194
swapoff 168 225; swapon 167 224; sysfs 139 -; syslog 103 116; umount2 166 39; unshare 272 97; uselib 134 -
userfaultfd 323 282; vhangup 153 58
"""
_EXAMINED = """
chmod 90 -; clone 56 220; clone3 435 435; creat 85 -; fchmod 91 52; fchmodat 268 53; ioctl 16 29; mknod 133 -
mknodat 259 33; open 2 -; openat 257 56; openat2 437 437; personality 135 92; socket 41 198
"""
_COLUMNS = {"x86_64": 1, "aarch64": 2}
MACHINES = tuple(_COLUMNS)


def refused(machine: str) -> dict[str, int]:
    """Calls that no program in a sandbox needs: they look into others, change the machine, or are often attacked."""
    return _numbers(_REFUSED, machine)


def examined(machine: str) -> dict[str, int]:
    """Calls that depend on their arguments, or that hide their arguments from a filter."""
    return _numbers(_EXAMINED, machine)


def _numbers(table: str, machine: str) -> dict[str, int]:
    rows = (row.split() for row in table.replace("\n", ";").split(";") if row.strip())
    return {row[0]: int(row[_COLUMNS[machine]]) for row in rows if row[_COLUMNS[machine]] != "-"}
