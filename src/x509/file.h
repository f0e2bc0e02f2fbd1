/* For list.c: reading from a descriptor, which stays open, as x509_read_file does from a path. */
#ifndef X509_FILE_H
#define X509_FILE_H

#include "x509.h"

unsigned char *file_read(int fd, size_t limit, size_t *n, struct x509_problem *problem);

/* Wipes and frees. */
void file_free(unsigned char *memory, size_t n);

#endif
