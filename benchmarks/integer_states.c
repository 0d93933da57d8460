/* LSTM and GRU in double precision over a long row, for integer_states.py: NumPy takes minutes.
 *
 * Weights [rows][gates * units] as Keras has them; GRU with the reset gate after the product.
 */
#include <math.h>
#include <stdlib.h>

static double s(double x) { return 1.0 / (1.0 + exp(-x)); }

static void project(const double *w, const double *x, int rows, int columns, double *z) {
    for (int k = 0; k < rows; k++) {
        for (int j = 0; j < columns; j++) {
            z[j] += x[k] * w[k * columns + j];
        }
    }
}

/* bias [2][gates * units]: what is added to each product. y [steps][units]. */
void run(int is_lstm, int units, int features, const double *kernel, const double *recurrent,
         const double *bias, const double *x, int steps, double *y) {
    const int n = units, columns = (is_lstm ? 4 : 3) * n;
    double *z = calloc((size_t)columns * 2 + (size_t)n * 2, sizeof(double));
    double *zh = z + columns, *h = zh + columns, *c = h + n;
    for (int t = 0; t < steps; t++, x += features, y += n) {
        for (int j = 0; j < columns; j++) {
            z[j] = bias[j];
            zh[j] = bias[columns + j];
        }
        project(kernel, x, features, columns, z);
        project(recurrent, h, n, columns, zh);
        for (int u = 0; u < n; u++) {
            const double *a = z + u, *b = zh + u;
            if (is_lstm) {
                c[u] = s(a[n] + b[n]) * c[u] + s(a[0] + b[0]) * tanh(a[2 * n] + b[2 * n]);
                h[u] = s(a[3 * n] + b[3 * n]) * tanh(c[u]);
            } else {
                const double keep = s(a[0] + b[0]), reset = s(a[n] + b[n]);
                h[u] = keep * h[u] + (1.0 - keep) * tanh(a[2 * n] + reset * b[2 * n]);
            }
            y[u] = h[u];
        }
    }
    free(z);
}
