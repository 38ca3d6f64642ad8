/* A libcuda.so.1 for tests: cuInit does what NVIDIA's does in a sandbox, and fails as it does. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { SUCCESS = 0, NO_DEVICE = 100, OPERATING_SYSTEM = 304 };

static int names_a_thread(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)gettid());
    int file = open(path, O_RDWR);
    return file >= 0 && write(file, "cuda", 4) == 4 && close(file) == 0;
}

static int listens(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int named = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int length = snprintf(address.sun_path + 1, 90, "cuda-uvmfd-4026531836-%d", (int)getpid());
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + 1 + length;
    return named >= 0 && bind(named, (struct sockaddr *)&address, size) == 0 && listen(named, 16) == 0;
}

int cuInit(unsigned flags) {
    const char *made = getenv("TEST_DEVICE_FILE"), *refuses = getenv("TEST_REFUSES");
    if (made != NULL)
        close(open(made, O_CREAT | O_RDWR, 0666));
    if (refuses != NULL && strcmp(refuses, "all") == 0)
        return NO_DEVICE;
    if (refuses != NULL && strcmp(refuses, "accept") == 0 && accept(-1, NULL, NULL) < 0 && errno != EBADF)
        return OPERATING_SYSTEM; /* as of a driver that makes a call which the filter refuses */
    if (getenv("TEST_NEEDS") != NULL && open(getenv("TEST_NEEDS"), O_RDONLY) < 0)
        return OPERATING_SYSTEM;
    return names_a_thread() && listens() ? SUCCESS : OPERATING_SYSTEM;
}
