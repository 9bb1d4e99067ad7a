/*
 * lsi53c895a_regs.h: registers of the LSI53C895A that the driver and its SCRIPTS use.
 * LSI53C895A PCI to Ultra2 SCSI Controller Technical Manual 2.2, chapter 4.
 */
#ifndef VIRTAX_LSI53C895A_REGS_H
#define VIRTAX_LSI53C895A_REGS_H

enum {
  LSI_SCNTL0 = 0x00,
  LSI_SCNTL1 = 0x01,
  LSI_SCNTL2 = 0x02,
  LSI_SCNTL3 = 0x03,
  LSI_SCID = 0x04,
  LSI_DSTAT = 0x0c,
  LSI_DSA = 0x10,
  LSI_ISTAT = 0x14,
  LSI_CTEST2 = 0x1a,
  LSI_TEMP = 0x1c,
  LSI_DSP = 0x2c,
  LSI_DSPS = 0x30,
  LSI_DMODE = 0x38,
  LSI_DIEN = 0x39,
  LSI_DCNTL = 0x3b,
  LSI_SIEN0 = 0x40,
  LSI_SIEN1 = 0x41,
  LSI_SIST0 = 0x42,
  LSI_SIST1 = 0x43,
  LSI_STIME0 = 0x48,
  LSI_RESPID0 = 0x4a,
  LSI_SIDL = 0x50,
  LSI_CCNTL0 = 0x56,
  LSI_PMJAD1 = 0xc0,
  LSI_PMJAD2 = 0xc4,
  LSI_RBC = 0xc8,
  LSI_UA = 0xcc,
};

enum {
  LSI_SCNTL0_ARBITRATE = 3 << 6, /* full arbitration */
  LSI_SCNTL0_EPC = 1 << 3,       /* check parity */
  LSI_SCNTL1_RST = 1 << 3,       /* drives the bus reset line */
  LSI_SCNTL2_SDU = 1 << 7,       /* a disconnect is unexpected */
  LSI_SCID_RRE = 1 << 6,         /* answers reselection */
  LSI_DMODE_BURST = 3 << 6,
  LSI_DCNTL_COM = 1 << 0, /* no 53C700 compatibility */
  LSI_CCNTL0_ENPMJ = 1 << 7, /* a phase mismatch in a data phase jumps to PMJAD1 or 2 */
  LSI_STIME0_SELECT = 12,    /* 204.8 ms */
};
enum { LSI_ISTAT_DIP = 1 << 0, LSI_ISTAT_SIP = 1 << 1, LSI_ISTAT_INTF = 1 << 2, LSI_ISTAT_SIGP = 1 << 5, LSI_ISTAT_SRST = 1 << 6 };
enum { LSI_SIST0_MA = 1 << 7, LSI_SIST0_SGE = 1 << 3, LSI_SIST0_UDC = 1 << 2, LSI_SIST0_RST = 1 << 1, LSI_SIST0_PAR = 1 << 0 };
enum { LSI_SIST1_STO = 1 << 2 };
enum { LSI_DSTAT_MDPE = 1 << 6, LSI_DSTAT_BF = 1 << 5, LSI_DSTAT_ABRT = 1 << 4, LSI_DSTAT_SIR = 1 << 2, LSI_DSTAT_IID = 1 << 0 };

/* Bus phases: MSG, C/D, I/O (SSTAT1 bits 2:0). */
enum { LSI_DATA_OUT = 0, LSI_DATA_IN = 1, LSI_COMMAND = 2, LSI_STATUS = 3, LSI_MESSAGE_OUT = 6, LSI_MESSAGE_IN = 7 };

#endif
