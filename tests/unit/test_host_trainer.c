/* The whole program on a toy model: its files, output and exit codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host_toy.h"
#include "runtime/host/log.h"
#include "runtime/host/trainer.h"

static char folder[] = "/tmp/itr_trainer_XXXXXX";

/* What a run left behind. */
typedef struct result {
    int code;
    char out[16384];
    char err[4096];
} result;

static void slurp(const char *path, char *text, size_t room)
{
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(text, 1, room - 1, f) : 0;
    text[n] = 0;
    if (f) {
        fclose(f);
    }
}

/* The compiler's part: MODEL_data.bin. */
static bool append_file(void *user, const void *bytes, size_t n)
{
    return fwrite(bytes, 1, n, user) == n;
}

static void redirect(int fd, const char *path)
{
    const int to = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (to < 0 || dup2(to, fd) < 0) {
        _exit(99);
    }
    close(to);
}

static int child(char **argv, const char *out, int64_t diverge_at)
{
    int argc = 0;
    while (argv[argc]) {
        argc++;
    }
    redirect(STDOUT_FILENO, out);
    redirect(STDERR_FILENO, "err");
    toy_state *s = calloc(1, sizeof *s);
    s->diverge_at = diverge_at;
    const int code = itr_trainer_main(&toy_model, s, argc, argv, "toy_data.bin");
    free(s);
    fflush(NULL);
    return code;
}

/* Runs the program in a process of its own with blank-separated arguments. */
static void run_to(const char *out, int64_t diverge_at, const char *arguments, result *r)
{
    char text[2048];
    char *argv[64] = {"trainer"};
    int argc = 1;
    snprintf(text, sizeof text, "%s", arguments);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    fflush(NULL);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        exit(child(argv, out, diverge_at)); /* exit, so that a leak checker speaks */
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    r->code = WEXITSTATUS(status);
    slurp(out, r->out, sizeof r->out);
    slurp("err", r->err, sizeof r->err);
}

static void run(const char *arguments, result *r)
{
    run_to("out", 0, arguments, r);
}

/* Runs and expects success; the digest of the last line. */
static void digest_of(const char *arguments, char digest[80])
{
    result r;
    char line[2100];
    snprintf(line, sizeof line, "%s --digest", arguments);
    run(line, &r);
    if (r.code != 0) {
        print_error("%s: %d %s\n", arguments, r.code, r.err);
    }
    assert_int_equal(r.code, 0);
    const char *last = strstr(r.out, "digest ");
    assert_non_null(last);
    assert_int_equal(strlen(last), 7 + 64 + 1); /* the last line, and nothing after it */
    snprintf(digest, 80, "%s", last);
}

static void refuse(const char *arguments, int code, const char *id)
{
    result r;
    run(arguments, &r);
    if (r.code != code || !strstr(r.err, id)) {
        print_error("%s: %d %s\n", arguments, r.code, r.err);
    }
    assert_int_equal(r.code, code);
    assert_int_equal(strncmp(r.err, "trainer: error E05", 18), 0);
    assert_non_null(strstr(r.err, id));
    assert_ptr_equal(strchr(r.err, '\n'), r.err + strlen(r.err) - 1); /* one line */
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (const char *p = strstr(text, what); p; p = strstr(p + 1, what)) {
        n++;
    }
    return n;
}

static int enter(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || chdir(folder) != 0) {
        return -1;
    }
    FILE *f = fopen("train.csv", "w");
    for (int i = 0; i < 30; i++) { /* y = 2a - 3b + 1: 30 rows are 7 batches and a half */
        const int a = i * 7 % 11 - 5;
        const int b = i * 5 % 13 - 6;
        fprintf(f, "%d,%d,%d\n", a, b, 2 * a - 3 * b + 1);
    }
    fclose(f);
    f = fopen("eval.csv", "w");
    fputs("a,b,y\n1,1,0\n2,0,5\n-3,2,-11\n0,0,1\n4,1,6\n", f);
    fclose(f);
    f = fopen("toy_data.bin", "wb");
    toy_state s;
    toy_fill(&s);
    const bool ok = itr_tensors_write(&toy_model, &s, append_file, f) == ITR_OK;
    fclose(f);
    return ok ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static double last_number(const char *text, const char *key)
{
    double x = -1;
    for (const char *p = strstr(text, key); p; p = strstr(p + 1, key)) {
        x = strtod(p + strlen(key), NULL);
    }
    return x;
}

static void training_learns_and_reports(void **state)
{
    (void)state;
    result r;
    static char log[131072];
    run("--data csv:train.csv --eval csv:eval.csv --epochs 60 --log run.jsonl", &r);
    assert_int_equal(r.code, 0);
    slurp("run.jsonl", log, sizeof log);
    assert_int_equal(count(log, "{\"event\":\"start\","), 1);
    assert_int_equal(strncmp(log, "{\"event\":\"start\",", 17), 0);
    assert_non_null(strstr(log, "\"settings\":{\"loss\":\"mse\"}"));
    assert_non_null(strstr(log, "\"sha256\":\""));
    assert_non_null(strstr(log, "\"epoch\":1,\"loss\":"));
    assert_null(strstr(log, "accuracy")); /* a regression has none */
    assert_int_equal(count(r.out, "eval  step "), 60);
    assert_non_null(strstr(r.out, "eval  step 480"));
    assert_non_null(strstr(r.out, "5 samples"));
    run("--data csv:train.csv --eval csv:eval.csv --epochs 60 --quiet", &r);
    assert_string_equal(r.out, "");
    /* the toy starts at a mean squared error above 10 and learns its line */
    run("--eval csv:eval.csv", &r);
    assert_true(last_number(r.out, "loss ") > 10);
    assert_true(last_number(log, "\"event\":\"eval\",\"step\":480,\"loss\":") < 0.5);
    assert_true(last_number(log, "\"event\":\"eval\",\"step\":480,\"loss\":") >= 0);
}

static void log_lines_follow_the_contract(void **state)
{
    (void)state;
    result r;
    char log[32768];
    run("--data csv:train.csv,label=2 --eval csv:eval.csv --steps 10 --log l.jsonl --seed 3 "
        "--eval-every 4 --log-every 2",
        &r);
    assert_int_equal(r.code, 0);
    slurp("l.jsonl", log, sizeof log);
    assert_int_equal(count(log, "{\"event\":\"step\","), 5);
    assert_int_equal(count(log, "{\"event\":\"eval\","), 3); /* 4, 8 and the end */
    assert_int_equal(count(log, "{\"event\":\"end\",\"step\":10,\"digest\":\""), 1);
    assert_non_null(strstr(log, "\"seed\":3"));
    assert_non_null(strstr(log, "\"lr\":0.015625,"));
    assert_non_null(strstr(log, "{\"event\":\"step\",\"step\":8,\"epoch\":1,"));
    assert_non_null(strstr(log, "{\"event\":\"step\",\"step\":10,\"epoch\":2,"));
    assert_non_null(strstr(log, ",\"samples\":30,")); /* 7 batches of 4 and one of 2 */
    assert_int_equal(log[strlen(log) - 1], '\n');
}

static void resume_equals_an_uninterrupted_run(void **state)
{
    (void)state;
    char whole[80];
    char part[80];
    char text[256];
    digest_of("--data csv:train.csv --steps 29 --seed 5", whole);
    for (int stop = 0; stop <= 29; stop++) { /* in the middle of epochs and at their ends */
        snprintf(text, sizeof text, "--data csv:train.csv --steps %d --seed 5 --save c.ckpt", stop);
        digest_of(text, part);
        digest_of("--data csv:train.csv --steps 29 --resume c.ckpt", part);
        assert_string_equal(part, whole);
    }
    digest_of("--data csv:train.csv --steps 29 --seed 6", part);
    assert_string_not_equal(part, whole);
    digest_of("--data csv:train.csv,shuffle=0 --steps 29 --seed 5", part);
    assert_string_not_equal(part, whole);
    digest_of("--data csv:train.csv --steps 29 --seed 5 --threads 3", part);
    assert_string_equal(part, whole);
    /* epochs are absolute as well; and a checkpoint on the way changes nothing */
    digest_of("--data csv:train.csv --epochs 3 --seed 5", whole);
    digest_of("--data csv:train.csv --epochs 2 --seed 5 --save c.ckpt --save-every 3", part);
    digest_of("--data csv:train.csv --epochs 3 --resume c.ckpt", part);
    assert_string_equal(part, whole);
    /* a finished run has nothing to do */
    digest_of("--data csv:train.csv --epochs 3 --resume c.ckpt --save c.ckpt", part);
    digest_of("--data csv:train.csv --epochs 3 --resume c.ckpt", part);
    assert_string_equal(part, whole);
}

static void schedule_of_a_run_is_kept(void **state)
{
    (void)state;
    result r;
    char log[8192];
    run("--data csv:train.csv --steps 3 --lr 0.001 --warmup 2 --schedule step:5:0.5 --save s.ckpt",
        &r);
    assert_int_equal(r.code, 0);
    run("--data csv:train.csv --steps 4 --resume s.ckpt --log s.jsonl", &r);
    slurp("s.jsonl", log, sizeof log);
    assert_non_null(strstr(log, "\"lr\":0.001,\"schedule\":\"step:5:0.5\",\"warmup\":2"));
    run("--data csv:train.csv --steps 4 --resume s.ckpt --log s.jsonl --lr 0.25", &r);
    slurp("s.jsonl", log, sizeof log);
    assert_int_equal(count(log, "\"event\":\"start\""), 2); /* appended */
    assert_non_null(strstr(log, "\"lr\":0.25,\"schedule\":\"step:5:0.5\""));
}

static void drop_last_leaves_short_batches_out(void **state)
{
    (void)state;
    result r;
    char log[8192];
    run("--data csv:train.csv --drop-last --epochs 2 --log d.jsonl", &r);
    assert_int_equal(r.code, 0);
    slurp("d.jsonl", log, sizeof log);
    assert_int_equal(count(log, "\"event\":\"step\""), 14);
    assert_non_null(strstr(log, "\"samples\":56,"));
    refuse("--data csv:train.csv,limit=3 --drop-last", 2, "E0514");
}

static void wrong_usage_is_refused(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"", "E0501"},
        {"--data", "E0501"},
        {"--bogus", "E0501"},
        {"train.csv", "E0501"},
        {"--data csv:train.csv --digest=1", "E0501"},
        {"--data csv:train.csv --epochs 1 --steps 1", "E0501"},
        {"--data csv:train.csv --save-every 1", "E0501"},
        {"--data csv:train.csv --eval-every 1", "E0501"},
        {"--data csv:train.csv --lr nan", "E0502"},
        {"--data csv:train.csv --lr -1", "E0502"},
        {"--data csv:train.csv --lr=", "E0502"},
        {"--data csv:train.csv --epochs x", "E0502"},
        {"--data csv:train.csv --steps -1", "E0502"},
        {"--data csv:train.csv --threads 0", "E0502"},
        {"--data csv:train.csv --log-every 0", "E0502"},
        {"--data csv:train.csv --seed 18446744073709551616", "E0502"},
        {"--data csv:train.csv --schedule cosine", "E0502"},
        {"--data csv:train.csv --stats s.jsonl", "E0503"},
        {"--data csv:train.csv --profile", "E0503"},
        {"--data csv:none.csv", "E0510"},
        {"--data train.csv", "E0511"},
        {"--data csv:train.csv,scale=nan", "E0511"},
        {"--data npy:train.csv,eval.csv", "E0512"},
        {"--data csv:train.csv --eval csv:train.csv,label=7", "E0514"},
        {"--data csv:train.csv --resume none.ckpt", "E0510"},
        {"--data csv:train.csv --resume train.csv", "E0520"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        refuse(bad[i][0], 2, bad[i][1]);
    }
}

static void resume_refuses_other_runs(void **state)
{
    (void)state;
    result r;
    run("--data csv:train.csv --steps 3 --save c.ckpt --seed 1", &r);
    assert_int_equal(r.code, 0);
    refuse("--data csv:train.csv,limit=20 --steps 5 --resume c.ckpt", 2, "E0522");
    refuse("--data csv:train.csv --steps 5 --resume c.ckpt --seed 2", 2, "E0522");
    refuse("--data csv:train.csv --steps 5 --resume toy_data.bin", 2, "E0520");
}

static void damaged_parameters_are_refused(void **state)
{
    (void)state;
    assert_int_equal(rename("toy_data.bin", "kept.bin"), 0);
    refuse("--data csv:train.csv", 2, "E0510");
    assert_int_equal(system("head -c 100 kept.bin > toy_data.bin"), 0);
    refuse("--data csv:train.csv", 2, "E0523");
    assert_int_equal(rename("kept.bin", "toy_data.bin"), 0);
}

static void unwritable_outputs_exit_3(void **state)
{
    (void)state;
    result r;
    if (access("/dev/full", W_OK) != 0) {
        skip();
    }
    refuse("--data csv:train.csv --log /dev/full", 3, "E0540");
    refuse("--data csv:train.csv --save /dev/full", 3, "E0540");
    refuse("--data csv:train.csv --save /nowhere/c.ckpt", 3, "E0540");
    refuse("--data csv:train.csv --log /nowhere/l.jsonl", 3, "E0540");
    refuse("--data csv:train.csv --save .", 3, "E0540");
    run_to("/dev/full", 0, "--data csv:train.csv", &r);
    assert_int_equal(r.code, 3);
    assert_non_null(strstr(r.err, "E0540"));
    run_to("/dev/full", 0, "--help", &r);
    assert_int_equal(r.code, 3);
    struct stat info;
    assert_int_equal(stat("/dev/full", &info), 0);
    assert_true(S_ISCHR(info.st_mode));
}

static void divergence_exits_1_and_saves_nothing(void **state)
{
    (void)state;
    result r;
    char log[8192];
    run_to("out", 6, "--data csv:train.csv --save v.ckpt --log v.jsonl", &r);
    assert_int_equal(r.code, 1);
    assert_non_null(strstr(r.err, "trainer: error E0530: "));
    assert_non_null(strstr(r.err, "step 5"));
    assert_int_not_equal(access("v.ckpt", F_OK), 0);
    slurp("v.jsonl", log, sizeof log);
    assert_non_null(strstr(log, "\"status\":\"diverged\""));
}

static void signals_stop_after_a_step_and_save(void **state)
{
    (void)state;
    static const int signals[] = {SIGINT, SIGTERM};
    for (int i = 0; i < 2; i++) {
        char *argv[] = {"trainer", "--data",    "csv:train.csv", "--steps", "2000000000",
                        "--save",  "stop.ckpt", "--digest",      NULL};
        char whole[80];
        char text[256];
        char log[4096];
        result r;
        fflush(NULL);
        unlink("out");
        const pid_t pid = fork();
        if (pid == 0) {
            exit(child(argv, "out", 0));
        }
        for (int wait = 0; wait < 1000; wait++) { /* the first progress line shows that it runs */
            slurp("out", log, sizeof log);
            if (strstr(log, "samples/s")) {
                break;
            }
            usleep(10000);
        }
        assert_int_equal(kill(pid, signals[i]), 0);
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 128 + signals[i]);
        slurp("out", r.out, sizeof r.out);
        const long step = (long)last_number(r.out, "done  step ");
        assert_true(step > 0);
        const char *stopped = strstr(r.out, "digest ");
        assert_non_null(stopped);
        /* the checkpoint holds exactly the steps that were done */
        snprintf(text, sizeof text, "--data csv:train.csv --steps %ld --resume stop.ckpt", step);
        digest_of(text, whole);
        assert_string_equal(whole, stopped);
    }
}

static void parameters_are_found_next_to_the_program(void **state)
{
    (void)state;
    assert_int_equal(mkdir("elsewhere", 0755), 0);
    assert_int_equal(rename("toy_data.bin", "elsewhere/toy_data.bin"), 0);
    char *argv[] = {"elsewhere/trainer", "--data", "csv:train.csv", NULL};
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        exit(child(argv, "out", 0));
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(rename("elsewhere/toy_data.bin", "toy_data.bin"), 0);
}

static void sums_of_losses_saturate(void **state)
{
    (void)state;
    itr_metrics a = {INT64_MAX - 5, 1, 0, 1};
    const itr_metrics b = {6, 1, 1, 1};
    const itr_metrics c = {INT64_MIN, 1, 0, 1};
    itr_metrics_add(&a, &b);
    assert_true(a.loss_q24 == INT64_MAX && a.rows == 2 && a.correct == 1 && a.samples == 2);
    itr_metrics_add(&a, &c);
    itr_metrics_add(&a, &c);
    assert_true(a.loss_q24 == INT64_MIN);
}

static void help_and_version(void **state)
{
    (void)state;
    result r;
    run("--help", &r);
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.out, "--resume CKPT"));
    run("--version", &r);
    assert_int_equal(r.code, 0);
    assert_string_equal(r.out, "trainer of toy (int16), intrain 0.0\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(training_learns_and_reports),
                                       cmocka_unit_test(log_lines_follow_the_contract),
                                       cmocka_unit_test(resume_equals_an_uninterrupted_run),
                                       cmocka_unit_test(schedule_of_a_run_is_kept),
                                       cmocka_unit_test(drop_last_leaves_short_batches_out),
                                       cmocka_unit_test(wrong_usage_is_refused),
                                       cmocka_unit_test(resume_refuses_other_runs),
                                       cmocka_unit_test(damaged_parameters_are_refused),
                                       cmocka_unit_test(unwritable_outputs_exit_3),
                                       cmocka_unit_test(divergence_exits_1_and_saves_nothing),
                                       cmocka_unit_test(signals_stop_after_a_step_and_save),
                                       cmocka_unit_test(parameters_are_found_next_to_the_program),
                                       cmocka_unit_test(sums_of_losses_saturate),
                                       cmocka_unit_test(help_and_version)};
    return cmocka_run_group_tests(tests, enter, leave);
}
