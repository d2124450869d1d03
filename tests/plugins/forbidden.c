/* Each act is harmless where it works, so that the table can run without a sandbox too. */
#define _GNU_SOURCE
#include "forbidden.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static long close_it(int fd)
{
    return fd < 0 ? -1 : close(fd);
}

static long open_write(void)
{
    return close_it(open("/tmp/paddock-forbidden", O_WRONLY | O_CREAT, 0600));
}

static long open_truncate(void)
{
    return close_it(open("/dev/null", O_RDONLY | O_TRUNC));
}

static long read_shadow(void)
{
    return close_it(open("/etc/shadow", O_RDONLY));
}

static long read_root(void)
{
    return close_it(open("/", O_RDONLY | O_DIRECTORY));
}

static long read_environ_of_init(void)
{
    return close_it(open("/proc/1/environ", O_RDONLY));
}

static long write_own_memory(void)
{
    return close_it(open("/proc/self/mem", O_RDWR));
}

static long make_socket(void)
{
    return close_it(socket(AF_INET, SOCK_STREAM, 0));
}

static long make_unix_socket(void)
{
    return close_it(socket(AF_UNIX, SOCK_STREAM, 0));
}

static long make_netlink(void)
{
    return close_it(socket(AF_NETLINK, SOCK_RAW, 0));
}

/* The only socket there is, turned elsewhere. */
static long connect_somewhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return connect(0, (struct sockaddr *)&address, sizeof address);
}

static long bind_somewhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    return bind(0, (struct sockaddr *)&address, sizeof address);
}

static long run_program(void)
{
    char *arguments[] = {(char *)"/bin/true", NULL};
    return execve("/bin/false/none", arguments, NULL);
}

static long run_memfd(void)
{
    char *arguments[] = {(char *)"x", NULL};
    int fd = memfd_create("x", MFD_CLOEXEC);
    long result = syscall(SYS_execveat, fd, "", arguments, NULL, AT_EMPTY_PATH);
    int error = errno;
    close(fd);
    errno = error;
    return result;
}

static long make_child(void)
{
    long child = syscall(SYS_fork);
    if (child == 0)
        _exit(0);
    return child < 0 ? -1 : waitpid((pid_t)child, NULL, 0) < 0;
}

static long clone_namespace(void)
{
    long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0);
    if (child == 0)
        _exit(0);
    return child < 0 ? -1 : waitpid((pid_t)child, NULL, 0) < 0;
}

static long trace_me(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static long read_other_process(void)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {&byte, 1};
    return syscall(SYS_process_vm_readv, getppid(), &here, 1, &there, 1, 0);
}

static long signal_parent(void)
{
    return kill(getppid(), 0);
}

static long signal_thread_of_parent(void)
{
    return syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static long map_code(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? -1 : munmap(page, 4096);
}

static long make_code(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    long result = mprotect(page, 4096, PROT_READ | PROT_EXEC);
    int error = errno;
    munmap(page, 4096);
    errno = error;
    return result;
}

static long leave_namespace(void)
{
    return unshare(CLONE_NEWUTS);
}

static long mount_something(void)
{
    return mount("none", "/nonexistent", "tmpfs", 0, NULL);
}

static long load_bpf(void)
{
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    return syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes);
}

static long open_perf(void)
{
    struct perf_event_attr attributes = {.size = sizeof attributes};
    return close_it((int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
}

static long setup_uring(void)
{
    char parameters[120] = {0};
    return close_it((int)syscall(SYS_io_uring_setup, 1, parameters));
}

static long fault_memory(void)
{
    return close_it((int)syscall(SYS_userfaultfd, O_CLOEXEC));
}

static long make_link(void)
{
    long result = symlink("/etc/passwd", "/tmp/paddock-forbidden-link");
    if (result == 0)
        unlink("/tmp/paddock-forbidden-link");
    return result;
}

static long change_mode(void)
{
    return chmod("/nonexistent", 0600);
}

static long remove_file(void)
{
    return unlink("/nonexistent");
}

static long rename_file(void)
{
    return rename("/nonexistent", "/nonexistent2");
}

static long become_somebody(void)
{
    return (long)syscall(SYS_setuid, getuid());
}

static long read_keys(void)
{
    return syscall(SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -3, 0);
}

static long raise_limits(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_CORE, &limit);
    return setrlimit(RLIMIT_CORE, &limit);
}

static long change_personality(void)
{
    return syscall(SYS_personality, 0xFFFFFFFF);
}

static long get_privileges(void)
{
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static const struct {
    const char *name;
    long (*act)(void);
} acts[] = {
    {"open for writing", open_write},
    {"open truncating", open_truncate},
    {"read /etc/shadow", read_shadow},
    {"read /", read_root},
    {"read /proc/1/environ", read_environ_of_init},
    {"write /proc/self/mem", write_own_memory},
    {"socket inet", make_socket},
    {"socket unix", make_unix_socket},
    {"socket netlink", make_netlink},
    {"connect", connect_somewhere},
    {"bind", bind_somewhere},
    {"execve", run_program},
    {"execve memfd", run_memfd},
    {"fork", make_child},
    {"clone namespace", clone_namespace},
    {"ptrace", trace_me},
    {"process_vm_readv", read_other_process},
    {"kill parent", signal_parent},
    {"tgkill parent", signal_thread_of_parent},
    {"mmap exec", map_code},
    {"mprotect exec", make_code},
    {"unshare", leave_namespace},
    {"mount", mount_something},
    {"bpf", load_bpf},
    {"perf_event_open", open_perf},
    {"io_uring_setup", setup_uring},
    {"userfaultfd", fault_memory},
    {"symlink", make_link},
    {"chmod", change_mode},
    {"unlink", remove_file},
    {"rename", rename_file},
    {"setuid", become_somebody},
    {"keyctl", read_keys},
    {"setrlimit", raise_limits},
    {"personality", change_personality},
    {"prctl dumpable", get_privileges},
};

const char *forbidden_try(unsigned n, int *ret_error)
{
    if (n >= sizeof acts / sizeof acts[0])
        return NULL;
    errno = 0;
    *ret_error = acts[n].act() < 0 ? errno : 0;
    return acts[n].name;
}
