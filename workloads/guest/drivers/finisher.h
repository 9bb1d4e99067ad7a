/* finisher.h: SiFive's test device ("sifive,test0"): a word written to it ends the machine. */
#ifndef VIRTAX_FINISHER_H
#define VIRTAX_FINISHER_H

void finisher_init(void);
/* 0: in order; else the low 16 bits are the exit status that the machine's owner sees. Comes back if the machine has no finisher. */
void finisher_write(int status);

#endif
