
/* Sequences in pieces: each step takes the next timesteps, and what lies in `state` is the sequence
 * so far. So any number of sequences can be under way, each with a state of its own: memory of
 * STATE_BYTES(rows), aligned to 4 bytes, which `reset` starts. A step that returns an error leaves
 * its state as it was. */
#define ${PREFIX}_STEP_INPUTS $step_inputs /* with the states */
#define ${PREFIX}_STEP_OUTPUTS $step_outputs
#define ${PREFIX}_STEP_SIZES $step_sizes
#define ${PREFIX}_STATE_FLOATS $state_floats
#define ${PREFIX}_STATE_BYTES(rows) ((size_t)4 * ${PREFIX}_STATE_FLOATS * (size_t)(rows))
#define ${PREFIX}_STEP_SCRATCH_BYTES($step_macro_parameters) \
    ${PREFIX}_STEP_SCRATCH_OF($step_macro_passed)
#define ${PREFIX}_STEP_SCRATCH_OF($step_macro_parameters) \
    ((size_t)4 * ($step_scratch_floats))

/* Starts a new sequence of some rows: all states are zero. */
void ${prefix}_reset(void *state, int32_t rows);

/* Takes the next timesteps of all rows, and gives what a run of the whole sequence so far would:
 * $step_outputs_text.
 *
 * $step_inputs_text.
 * scratch: ${PREFIX}_STEP_SCRATCH_BYTES($step_scratch_text) bytes, aligned to 64. */
int ${prefix}_step(const void *weights, $step_argument, int32_t rows,
                   int32_t timesteps, $step_result, void *state, void *scratch);
