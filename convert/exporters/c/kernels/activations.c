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
        if (i < n) {                                              \
            vfloat x = v_load_some(from + i, (int32_t)(n - i));   \
            v_store_some(to + i, (expression), (int32_t)(n - i)); \
        }                                                         \
    } while (0)

GATELET_KERNEL void gatelet_activate(struct gatelet_activation f, const float *from, float *to,
                                     size_t n) {
    size_t i = 0;
    const float a = f.a, b = f.b;
    switch (f.kind) {
    case GATELET_RELU: GATELET_EACH(v_relu(x, f)); break;
    case GATELET_SIGMOID: GATELET_EACH(v_sigmoid(x)); break;
    case GATELET_HARD_SIGMOID: GATELET_EACH(v_hard_sigmoid(x)); break;
    case GATELET_HARD_SIGMOID_KERAS2:
        GATELET_EACH(v_at_most(v_at_least(0.2f * x + 0.5f, 0.0f), 1.0f));
        break;
    case GATELET_TANH: GATELET_EACH(v_tanh(x)); break;
    case GATELET_ELU: GATELET_EACH(v_elu(x, a)); break;
    case GATELET_SELU: /* Klambauer et al. 2017 */
        GATELET_EACH(1.0507009873554805f * v_elu(x, 1.6732632423543772f));
        break;
    case GATELET_SOFTPLUS: GATELET_EACH(v_softplus(x)); break;
    case GATELET_SOFTSIGN: GATELET_EACH(x / (v_abs(x) + 1.0f)); break;
    case GATELET_EXPONENTIAL: GATELET_EACH(v_exp(x)); break;
    case GATELET_SILU: GATELET_EACH(x * v_sigmoid(x)); break;
    case GATELET_GELU: GATELET_EACH(v_gelu(x, a != 0.0f)); break; /* Hendrycks & Gimpel 2016 */
    case GATELET_LEAKY_RELU: GATELET_EACH(v_select(x > v_splat(0.0f), x, a * x)); break;
    case GATELET_RELU6: GATELET_EACH(v_at_most(v_at_least(x, 0.0f), 6.0f)); break;
    case GATELET_MISH: GATELET_EACH(x * v_tanh(v_softplus(x))); break; /* Misra 2019 */
    case GATELET_CELU: GATELET_EACH(v_celu(x, a)); break;              /* Barron 2017 */
    case GATELET_HARD_TANH: GATELET_EACH(v_at_most(v_at_least(x, -1.0f), 1.0f)); break;
    case GATELET_HARD_SILU: GATELET_EACH(x * v_hard_sigmoid(x)); break;
    case GATELET_LOG_SIGMOID: GATELET_EACH(-v_softplus(-x)); break;
    case GATELET_TANH_SHRINK: GATELET_EACH(x - v_tanh(x)); break;
    case GATELET_HARD_SHRINK:
        GATELET_EACH(v_select(v_abs(x) > v_splat(a), x, v_splat(0.0f)));
        break;
    case GATELET_SOFT_SHRINK: GATELET_EACH(v_soft_shrink(x, a)); break;
    case GATELET_SQUAREPLUS: GATELET_EACH((x + v_sqrt(x * x + a)) / 2.0f); break;
    case GATELET_SPARSE_PLUS: GATELET_EACH(v_sparse_plus(x)); break;
    case GATELET_SPARSE_SIGMOID:
        GATELET_EACH(v_at_most(v_at_least(0.5f * (x + 1.0f), 0.0f), 1.0f));
        break;
    case GATELET_THRESHOLD: GATELET_EACH(v_select(x > v_splat(a), x, v_splat(b))); break;
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

static GATELET_UNUSED void normalize_line(int32_t kind, float *y, int32_t n, size_t stride) {
    double sum = 0.0;
    for (int32_t i = 0; i < n; i++) {
        float value = y[(size_t)i * stride];
        sum += (double)(kind == GATELET_SOFTMAX ? value : gatelet_exp(value));
    }
    const float total = (float)sum;
    const float log_total = kind == GATELET_SOFTMAX ? 0.0f : gatelet_log(total);
    for (int32_t i = 0; i < n; i++) {
        float *value = y + (size_t)i * stride;
        *value = kind == GATELET_SOFTMAX ? *value / total : *value - log_total;
    }
}

GATELET_KERNEL void gatelet_activate_axis(struct gatelet_activation f, const float *x, float *y,
                                          size_t outer, int32_t n, size_t inner) {
    const int by_line = f.kind == GATELET_SPARSEMAX || f.kind == GATELET_GLU;
    const int shifted = f.kind == GATELET_SOFTMAX || f.kind == GATELET_LOG_SOFTMAX;
    const size_t after = f.kind == GATELET_GLU ? (size_t)n / 2 : (size_t)n;
    if (!by_line && !shifted) {
        gatelet_activate(f, x, y, outer * (size_t)n * inner);
        return;
    }
    for (size_t line = 0; line < outer * inner; line++) {
        const float *from = x + line / inner * (size_t)n * inner + line % inner;
        float *to = y + line / inner * after * inner + line % inner;
        if (f.kind == GATELET_SPARSEMAX) {
            sparsemax_line(from, to, n, inner);
        } else if (f.kind == GATELET_GLU) {
            glu_line(from, to, n, inner);
        } else {
            subtract_largest(from, to, n, inner);
        }
    }
    if (f.kind == GATELET_SOFTMAX) {
        struct gatelet_activation exponential = {GATELET_EXPONENTIAL, 0.0f, 0.0f, 0.0f};
        gatelet_activate(exponential, y, y, outer * (size_t)n * inner);
    }
    for (size_t line = 0; shifted && line < outer * inner; line++) {
        normalize_line(f.kind, y + line / inner * (size_t)n * inner + line % inner, n, inner);
    }
}
