/**
 * Gradients against finite differences: what the files test_gradients*.c share.
 *
 * The gradient of every differentiable operator: one step of plain SGD against central differences,
 * in double precision, of a forward pass that knows nothing of the compiler (support/ref_f64.c).
 * The operand under test is a trained tensor, or the sum of an input and one, so that its gradient
 * can be read off the step: g = (w - w') / lr.
 *
 * Differences use steps h and h/2 and Richardson's extrapolation, whose error is O(h^4); where the
 * two disagree by more than 1e-5 a kink lies within h, and the case needs other values. Agreement
 * is the L2 norm of the difference over that of the gradient, a tensor: float32 rounds w' and the
 * sums, which leaves about 1e-6; 1e-4 is the bar. The integer paths have their bars as well, which
 * find a lost factor or a wrong exponent in an operator's integer form: int16 rounds to 2^-15 of a
 * tensor's largest element, int8 to 2^-7, several times. That their roundings leave no bias is
 * test_unbiased.c's to show.
 */
#ifndef ITC_TESTS_SUPPORT_GRAD_CHECK_H
#define ITC_TESTS_SUPPORT_GRAD_CHECK_H

#include <stddef.h>

/** A trained operand of the given shape a sample: a = x + p. */
#define X(shape) "in x [N," shape "]; par p [" shape "] -0.5..0.5; a = Add(x, p);"
/** As X, away from zero. */
#define Z(shape) "in z [N," shape "] 1..2; par q [" shape "] -0.3..0.3; d = Add(z, q);"

typedef struct grad_case {
    const char *text;
    const char *loss; /**< "mse" where absent */
    int axis;         /**< of the classes; 0: 1 */
    double smoothing, ignore, weight;
    const char *reference; /**< what is differentiated, where that is not the same text */
    const char *settings;  /**< of the compiler, "NAME=VALUE …"; NULL: none */
} grad_case;

/** Every case in float32, int16 and int8, with one row and with three; fails the test beyond the
 * bar of its arithmetic. */
void grad_check_cases(const grad_case *c, size_t n);
/** Fails the test where the gradient of a case in float32 passes as that of its reference. */
void grad_check_slip(const grad_case *c);

#define RUN(cases)                                                                                 \
    (void)state;                                                                                   \
    grad_check_cases(cases, sizeof cases / sizeof cases[0]);

#endif
