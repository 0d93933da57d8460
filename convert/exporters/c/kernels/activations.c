/* Activations by Keras' names; the equations are those of the reference backend.
 *
 * Not the cell of the usual LSTM, which has its own: see lstm.c.
 */
#include "activations.h"

#include "elementary.h"

GATELET_INLINE vfloat v_relu(vfloat x, struct gatelet_activation f) {
    vfloat zero = v_splat(0.0f);
    vfloat above = f.b != 0.0f ? v_select(x > v_splat(f.b), x, zero) : v_at_least(x, 0.0f);
    above = v_at_most(above, f.c);
    if (f.a == 0.0f) {
        return above;
    }
    return above - f.a * v_at_least(f.b - x, 0.0f);
}

GATELET_INLINE vfloat v_elu(vfloat x, float alpha) {
    return v_select(x > v_splat(0.0f), x, alpha * v_expm1_39(1.0f, v_at_most(x, 0.0f)));
}

GATELET_INLINE vfloat v_hard_sigmoid(vfloat x) {
    return v_at_most(v_at_least(x + 3.0f, 0.0f), 6.0f) / 6.0f;
}

GATELET_INLINE vfloat v_gelu(vfloat x, int approximate) {
    if (approximate) {
        vfloat inner = 0.797884560802865f * (x + 0.044715f * x * x * x);
        return 0.5f * x * (v_tanh(inner) + 1.0f);
    }
    return 0.5f * x * (v_erf(x * 0.707106781186548f) + 1.0f);
}

GATELET_INLINE vfloat v_soft_shrink(vfloat x, float threshold) {
    vfloat shrunk = x - v_copy_sign(v_splat(threshold), x);
    return v_select(v_abs(x) > v_splat(threshold), shrunk, v_splat(0.0f));
}

GATELET_INLINE vfloat v_sparse_plus(vfloat x) {
    vfloat between = (x + 1.0f) * (x + 1.0f) / 4.0f;
    return v_select(x <= v_splat(-1.0f), v_splat(0.0f), v_select(x < v_splat(1.0f), between, x));
}

GATELET_INLINE vfloat v_celu(vfloat x, float alpha) {
    return v_at_least(x, 0.0f) + alpha * v_expm1_39(1.0f, v_at_most(x, 0.0f) / alpha);
}

/* Evaluates `expression` of the vector x over all n elements. */
#define GATELET_EACH(expression)                                  \
    do {                                                          \
        for (; i + GATELET_VL <= n; i += GATELET_VL) {            \
            vfloat x = v_load(from + i);                          \
            v_store(to + i, (expression));                        \
        }                                                         \
        if (GATELET_VL > 1 && i < n) {                            \
            vfloat x = v_load_some(from + i, (int32_t)(n - i));   \
            v_store_some(to + i, (expression), (int32_t)(n - i)); \
        }                                                         \
    } while (0)

/* The same of a kind, where the model has it. */
#define GATELET_CASE(one, expression) \
    case one:                         \
        if (GATELET_HAS_KIND(one)) {  \
            GATELET_EACH(expression); \
        }                             \
        break

static GATELET_UNUSED void exponentials(const float *from, float *to, size_t n) {
    size_t i = 0;
    GATELET_EACH(v_exp(x));
}

GATELET_KERNEL void gatelet_activate(struct gatelet_activation f, const float *from, float *to,
                                     size_t n) {
    size_t i = 0;
    const float a = f.a, b = f.b;
    switch (f.kind) {
        GATELET_CASE(GATELET_RELU, v_relu(x, f));
        GATELET_CASE(GATELET_SIGMOID, v_sigmoid(x));
        GATELET_CASE(GATELET_HARD_SIGMOID, v_hard_sigmoid(x));
        GATELET_CASE(GATELET_HARD_SIGMOID_KERAS2,
                     v_at_most(v_at_least(0.2f * x + 0.5f, 0.0f), 1.0f));
        GATELET_CASE(GATELET_TANH, v_tanh(x));
        GATELET_CASE(GATELET_ELU, v_elu(x, a));
        GATELET_CASE(GATELET_SELU, 1.0507009873554805f *
                                       v_elu(x, 1.6732632423543772f)); /* Klambauer et al. 2017 */
        GATELET_CASE(GATELET_SOFTPLUS, v_softplus(x));
        GATELET_CASE(GATELET_SOFTSIGN, x / (v_abs(x) + 1.0f));
    case GATELET_EXPONENTIAL:
        exponentials(from, to, n);
        break;
        GATELET_CASE(GATELET_SILU, x * v_sigmoid(x));
        GATELET_CASE(GATELET_GELU, v_gelu(x, a != 0.0f)); /* Hendrycks & Gimpel 2016 */
        GATELET_CASE(GATELET_LEAKY_RELU, v_select(x > v_splat(0.0f), x, a * x));
        GATELET_CASE(GATELET_RELU6, v_at_most(v_at_least(x, 0.0f), 6.0f));
        GATELET_CASE(GATELET_MISH, x * v_tanh(v_softplus(x))); /* Misra 2019 */
        GATELET_CASE(GATELET_CELU, v_celu(x, a));              /* Barron 2017 */
        GATELET_CASE(GATELET_HARD_TANH, v_at_most(v_at_least(x, -1.0f), 1.0f));
        GATELET_CASE(GATELET_HARD_SILU, x * v_hard_sigmoid(x));
        GATELET_CASE(GATELET_LOG_SIGMOID, -v_softplus(-x));
        GATELET_CASE(GATELET_TANH_SHRINK, x - v_tanh(x));
        GATELET_CASE(GATELET_HARD_SHRINK, v_select(v_abs(x) > v_splat(a), x, v_splat(0.0f)));
        GATELET_CASE(GATELET_SOFT_SHRINK, v_soft_shrink(x, a));
        GATELET_CASE(GATELET_SQUAREPLUS, (x + v_sqrt(x * x + a)) / 2.0f);
        GATELET_CASE(GATELET_SPARSE_PLUS, v_sparse_plus(x));
        GATELET_CASE(GATELET_SPARSE_SIGMOID, v_at_most(v_at_least(0.5f * (x + 1.0f), 0.0f), 1.0f));
        GATELET_CASE(GATELET_THRESHOLD, v_select(x > v_splat(a), x, v_splat(b)));
    default:
        if (from != to) {
            memmove(to, from, n * sizeof(float));
        }
    }
}

/* y = x - the largest of its line; a NaN is the largest. */
static GATELET_UNUSED void subtract_largest(const float *x, float *y, int32_t n, size_t stride) {
    float largest = x[0];
    for (int32_t i = 1; i < n; i++) {
        float value = x[(size_t)i * stride];
        largest = largest != largest || largest >= value ? largest : value;
    }
    for (int32_t i = 0; i < n; i++) {
        y[(size_t)i * stride] = x[(size_t)i * stride] - largest;
    }
}

/* Keras' own threshold, which the paper's (Martins & Astudillo 2016) is not for two and more. */
static GATELET_UNUSED void sparsemax_line(const float *x, float *y, int32_t n, size_t stride) {
    for (int32_t i = 0; i < n; i++) { /* sorted into y, the largest first */
        float value = x[(size_t)i * stride];
        int32_t place = i;
        for (; place > 0 && y[(size_t)(place - 1) * stride] < value; place--) {
            y[(size_t)place * stride] = y[(size_t)(place - 1) * stride];
        }
        y[(size_t)place * stride] = value;
    }
    double total = 0.0, supported = 0.0;
    int32_t count = 0;
    for (int32_t i = 0; i < n; i++) {
        total += (double)y[(size_t)i * stride];
        if ((double)y[(size_t)i * stride] - (total - 1.0) / (i + 1) > 0.0) {
            supported += total;
            count++;
        }
    }
    float tau = (float)((supported - 1.0) / count);
    for (int32_t i = 0; i < n; i++) {
        float above = x[(size_t)i * stride] - tau;
        y[(size_t)i * stride] = above < 0.0f ? 0.0f : above;
    }
}

static GATELET_UNUSED void glu_line(const float *x, float *y, int32_t n, size_t stride) {
    for (int32_t i = 0; i < n / 2; i++) { /* Dauphin et al. 2016 */
        vfloat gate = v_sigmoid(v_splat(x[(size_t)(i + n / 2) * stride]));
        y[(size_t)i * stride] = x[(size_t)i * stride] * v_first(gate);
    }
}

GATELET_INLINE void normalize_line(const int is_softmax, float *y, int32_t n, size_t stride) {
    double sum = 0.0;
    for (int32_t i = 0; i < n; i++) {
        float value = y[(size_t)i * stride];
        sum += (double)(is_softmax ? value : gatelet_exp(value));
    }
    const float total = (float)sum;
    const float log_total = is_softmax ? 0.0f : gatelet_log(total);
    for (int32_t i = 0; i < n; i++) {
        float *value = y + (size_t)i * stride;
        *value = is_softmax ? *value / total : *value - log_total;
    }
}

GATELET_KERNEL void gatelet_activate_axis(struct gatelet_activation f, const float *x, float *y,
                                          size_t outer, int32_t n, size_t inner) {
    const int is_glu = GATELET_HAS_KIND(GATELET_GLU) && f.kind == GATELET_GLU;
    const int is_sparsemax = GATELET_HAS_KIND(GATELET_SPARSEMAX) && f.kind == GATELET_SPARSEMAX;
    const int is_softmax = GATELET_HAS_KIND(GATELET_SOFTMAX) && f.kind == GATELET_SOFTMAX;
    const int is_log = GATELET_HAS_KIND(GATELET_LOG_SOFTMAX) && f.kind == GATELET_LOG_SOFTMAX;
    const int by_line = is_glu || is_sparsemax, shifted = is_softmax || is_log;
    const size_t after = is_glu ? (size_t)n / 2 : (size_t)n;
    if (!by_line && !shifted) {
        gatelet_activate(f, x, y, outer * (size_t)n * inner);
        return;
    }
    for (size_t line = 0; line < outer * inner; line++) {
        const float *from = x + line / inner * (size_t)n * inner + line % inner;
        float *to = y + line / inner * after * inner + line % inner;
        if (is_sparsemax) {
            sparsemax_line(from, to, n, inner);
        } else if (is_glu) {
            glu_line(from, to, n, inner);
        } else {
            subtract_largest(from, to, n, inner);
        }
    }
    if (is_softmax) {
        exponentials(y, y, outer * (size_t)n * inner);
    }
    for (size_t line = 0; shifted && line < outer * inner; line++) {
        normalize_line(is_softmax, y + line / inner * (size_t)n * inner + line % inner, n, inner);
    }
}
