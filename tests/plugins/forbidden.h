/* tests/plugins/forbidden.h: what a worker may not do. */
#pragma once

/* Tries the n-th act: its name, and in *ret_error what it gave (0: it worked). NULL: there are no more. */
const char *forbidden_try(unsigned n, int *ret_error);
