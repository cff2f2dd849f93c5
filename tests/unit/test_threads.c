/* The pool of threads, with threads: this test compiles pool.c with ITR_THREADS=1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "runtime/pool.h"

static itr_pool pool; /* zeroed: one thread */

enum { MOST = 1000 };

typedef struct visits {
    int32_t count[MOST];
    int64_t sum, parts, shortest;
    itr_pool *inner; /* for a loop in the loop */
} visits;

static void visit_inner(void *user, int64_t begin, int64_t end)
{
    visits *v = (visits *)user;
    v->sum += end - begin;
}

static void visit(void *user, int64_t begin, int64_t end)
{
    visits *v = (visits *)user;
    for (int64_t i = begin; i < end; i++) {
        v->count[i]++; /* an element belongs to one part alone */
    }
    itr_pool_lock(&pool);
    v->parts++;
    v->shortest = v->shortest < end - begin ? v->shortest : end - begin;
    if (v->inner) {
        itr_parallel(v->inner, end - begin, 1, visit_inner, v);
    }
    itr_pool_unlock(&pool);
}

static void check(int64_t n, int64_t grain, itr_pool *inner)
{
    visits v = {.shortest = MOST, .inner = inner};
    itr_parallel(&pool, n, grain, visit, &v);
    for (int64_t i = 0; i < MOST; i++) {
        assert_int_equal(v.count[i], i < n);
    }
    if (n > 0) {
        assert_true(v.parts <= itr_pool_threads(&pool));
        assert_true(v.shortest >= (n < grain ? n : grain));
    } else {
        assert_int_equal(v.parts, 0);
    }
    assert_int_equal(v.sum, inner ? n : 0);
}

static void check_all(void)
{
    static const int64_t sizes[] = {0, 1, 2, 3, 7, 8, 9, 64, MOST};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        check(sizes[i], 1, NULL);
        check(sizes[i], 4, NULL);
        check(sizes[i], 1, &pool);
    }
}

static void every_element_is_visited_once(void **state)
{
    (void)state;
    static const int32_t threads[] = {1, 2, 3, 8, 5, 1, 0, 7, 7, 1};
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) {
        itr_pool_resize(&pool, threads[i]);
        assert_int_equal(itr_pool_threads(&pool), threads[i] > 1 ? threads[i] : 1);
        check_all();
    }
}

static void rounds_follow_each_other(void **state)
{
    (void)state;
    itr_pool_resize(&pool, 4);
    for (int i = 0; i < 5000; i++) {
        check(1 + i % 9, 1, NULL);
    }
    itr_pool_resize(&pool, 1);
}

static void no_pool_is_one_thread(void **state)
{
    (void)state;
    visits v = {.shortest = MOST};
    assert_int_equal(itr_pool_threads(NULL), 1);
    itr_parallel(NULL, 5, 1, visit, &v);
    assert_int_equal(v.parts, 1);
    assert_int_equal(v.shortest, 5);
}

static void more_threads_than_fit_are_not_started(void **state)
{
    (void)state;
    itr_pool_resize(&pool, INT32_MAX);
    assert_in_range(itr_pool_threads(&pool), 1, ITR_POOL_THREADS);
    check_all();
    itr_pool_resize(&pool, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_element_is_visited_once),
        cmocka_unit_test(rounds_follow_each_other),
        cmocka_unit_test(no_pool_is_one_thread),
        cmocka_unit_test(more_threads_than_fit_are_not_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
