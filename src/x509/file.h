/* For list.c: giving back what x509_read_file and x509_read_descriptor gave. */
#ifndef X509_FILE_H
#define X509_FILE_H

#include <stddef.h>

/* Wipes and frees. */
void file_free(unsigned char *memory, size_t n);

#endif
