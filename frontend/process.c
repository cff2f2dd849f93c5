#define _XOPEN_SOURCE 700
#include "frontend/process.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t child;

/* Sent to us alone, it must reach the child, which saves its work; from a terminal it gets its own.
 */
static void pass_on(int signal)
{
    const int reason = errno;
    if (signal == SIGTERM && child > 0) {
        (void)kill((pid_t)child, signal);
    }
    errno = reason;
}

static void run_child(char *const *argv, const char *log, const sigset_t *old)
{
    (void)sigprocmask(SIG_SETMASK, old, NULL);
    if (log) {
        const int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0) {
            _exit(127);
        }
        (void)close(fd);
    }
    (void)execvp(argv[0], argv);
    _exit(127);
}

itc_status itc_process_run(itc_ctx *ctx, char *const *argv, const char *log, int *code)
{
    struct sigaction act = {.sa_handler = pass_on}, old_int, old_term;
    sigset_t blocked, old;
    int status = 0;
    (void)sigemptyset(&act.sa_mask);
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGTERM);
    (void)fflush(NULL);
    (void)sigprocmask(SIG_BLOCK, &blocked, &old); /* until its number is known */
    const pid_t pid = fork();
    if (pid == 0) {
        run_child(argv, log, &old);
    }
    child = (sig_atomic_t)pid;
    (void)sigaction(SIGINT, &act, &old_int);
    (void)sigaction(SIGTERM, &act, &old_term);
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    (void)sigaction(SIGINT, &old_int, NULL);
    (void)sigaction(SIGTERM, &old_term, NULL);
    child = 0;
    if (pid < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 127)) {
        return itc_error(ctx, NULL, ITC_WRITE, "E0609", "%s cannot be started", argv[0]);
    }
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return ITC_OK;
}

itc_status itc_temp_folder(itc_ctx *ctx, const char **out)
{
    const char *where = getenv("TMPDIR");
    char *path = itc_format(ctx, "%s/intrain.XXXXXX", where && *where ? where : "/tmp");
    if (!mkdtemp(path)) {
        return itc_error(ctx, NULL, ITC_WRITE, "E0003", "cannot make a folder %s: %s", path,
                         strerror(errno));
    }
    *out = path;
    return ITC_OK;
}

itc_status itc_make_folder(itc_ctx *ctx, const char *path)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        return itc_error(ctx, NULL, ITC_WRITE, "E0003", "cannot make a folder %s: %s", path,
                         strerror(errno));
    }
    return ITC_OK;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void itc_temp_remove(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
