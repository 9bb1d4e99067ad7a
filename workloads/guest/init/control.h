/* control.h: the program's entry. Each port calls it once, on CPU 0, when its machine is ready. It does not return. */
#ifndef VIRTAX_CONTROL_H
#define VIRTAX_CONTROL_H

_Noreturn void init_main(void);

#endif
