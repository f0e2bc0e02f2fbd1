/* For list.c and crl_list.c: giving back what x509_read_file and x509_read_descriptor gave, and directories.
 */
#ifndef X509_FILE_H
#define X509_FILE_H

#include "x509.h"

/* Wipes and frees. */
void file_free(unsigned char *memory, size_t n);

/* Gets the n bytes of a file, which become its own; false ends it, with *problem. */
typedef bool file_taker(void *context, unsigned char *text, size_t n, struct x509_problem *problem);

/*
 * Hands every regular file in a directory to take, whatever it is called, in no particular order. Skipped are
 * names that begin with a dot, subdirectories, and files that may not be read, are gone or larger than limit.
 */
bool file_each(const char *path, size_t limit, file_taker *take, void *context, struct x509_problem *problem);

#endif
