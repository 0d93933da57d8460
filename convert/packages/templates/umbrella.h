/* The model '$title' ($target_scheme): model.h under a name that no other package has. */
#include "model.h"
