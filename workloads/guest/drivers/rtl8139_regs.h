/* rtl8139_regs.h: registers of Realtek's RTL8139 in its basic ("C") mode. RTL8139D(L) datasheet 1.3, chapter 5. */
#ifndef VIRTAX_RTL8139_REGS_H
#define VIRTAX_RTL8139_REGS_H

enum {
  RTL_IDR0 = 0x00,    /* station address, 6 bytes; written as 4-byte words */
  RTL_MAR0 = 0x08,    /* multicast hash, 8 bytes */
  RTL_TSD0 = 0x10,    /* status of the four transmit descriptors */
  RTL_TSAD0 = 0x20,   /* addresses of the four transmit descriptors */
  RTL_RBSTART = 0x30, /* address of the receive ring */
  RTL_CR = 0x37,
  RTL_CAPR = 0x38, /* where the driver reads, minus 16 */
  RTL_CBR = 0x3a,  /* where the card writes next */
  RTL_IMR = 0x3c,
  RTL_ISR = 0x3e,
  RTL_TCR = 0x40,
  RTL_RCR = 0x44,
  RTL_TSAD = 0x60, /* status of all transmit descriptors */
};

enum { RTL_CR_BUFE = 1 << 0, RTL_CR_TE = 1 << 2, RTL_CR_RE = 1 << 3, RTL_CR_RST = 1 << 4 };

/* TSD: size in bits 12:0; the driver clears OWN to start, the card sets it when it has fetched the frame. */
enum { RTL_TSD_SIZE = 0x1fff, RTL_TSD_OWN = 1 << 13, RTL_TSD_TUN = 1 << 14, RTL_TSD_TOK = 1 << 15, RTL_TSD_TABT = 1 << 30 };

/* TSAD: four bits each, one a descriptor. Here: the first bit. */
enum { RTL_TSAD_OWN = 0, RTL_TSAD_TABT = 4, RTL_TSAD_TUN = 8, RTL_TSAD_TOK = 12 };

enum {
  RTL_INT_ROK = 1 << 0,
  RTL_INT_RER = 1 << 1,
  RTL_INT_TOK = 1 << 2,
  RTL_INT_TER = 1 << 3,
  RTL_INT_RXOVW = 1 << 4, /* receive ring full */
  RTL_INT_FOVW = 1 << 6,  /* receive FIFO full */
};

enum {
  RTL_RCR_APM = 1 << 1, /* frames to our address */
  RTL_RCR_AB = 1 << 3,  /* broadcast */
  RTL_RCR_WRAP = 1 << 7, /* a frame that reaches the ring's end goes on behind it instead of at its start */
  RTL_RCR_MXDMA = 7 << 8, /* bursts without limit */
  RTL_RCR_RBLEN_64K = 3 << 11,
  RTL_RCR_RBLEN_32K = 2 << 11,
  RTL_RCR_RXFTH = 7 << 13, /* copies whole frames only */
};
enum { RTL_TCR_IFG = 3 << 24, RTL_TCR_MXDMA = 7 << 8 };

/* In the ring, before each frame: status (16 bits), length with FCS (16 bits). */
enum { RTL_RX_HEADER = 4, RTL_RX_ROK = 1 << 0, RTL_FCS = 4 };

#endif
