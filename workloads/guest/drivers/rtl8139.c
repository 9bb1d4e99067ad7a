/*
 * rtl8139.c: Realtek RTL8139, in the mode that all of its generations have: one ring of bytes for what comes, four descriptors
 * for what goes.
 *
 * Every register is a trap under an emulated machine, and every interrupt is several, so the driver asks for as few as it can:
 * what has been sent is looked at only when all descriptors are in use (one read of TSAD shows the four), and raises an interrupt
 * only while somebody waits for a descriptor; an interrupt takes all frames that are in the ring with one read of CBR, and CAPR
 * is moved once for many.
 */
#include "../kernel/kernel.h"
#include "../kernel/netdev.h"
#include "../lib/mem.h"
#include "pci.h"
#include "rtl8139_regs.h"

enum {
  REGISTERS = 0x100,
  RING = 32 * 1024,
  RING_SLACK = 2048, /* with RCR.WRAP a frame may run past the end */
  CAPR_BIAS = 16,    /* CAPR stands this far before the byte that is read next (datasheet, CAPR) */
  DESCRIPTORS = 4,
  TX_BUFFER = 2048,
  FRAME_MIN = 60, /* the card pads nothing */
  CAPR_LAG = RING / 4, /* bytes that have been read and that the card does not know of yet, at most */
  RX_INTERRUPTS = RTL_INT_ROK | RTL_INT_RER | RTL_INT_RXOVW | RTL_INT_FOVW,
  TX_INTERRUPTS = RTL_INT_TOK | RTL_INT_TER,
  RESET_TRIES = 1000,
};

struct rtl8139 {
  struct netdev net;
  volatile void *regs;
  uint8_t *ring;
  uint32_t read, told;    /* offsets in the ring: of the next frame, and what CAPR says */
  uint8_t *tx;            /* DESCRIPTORS buffers of TX_BUFFER */
  uint32_t tx_next, tx_oldest; /* counters; the descriptor is the counter modulo DESCRIPTORS */
  int tx_refused;         /* transmit() has answered -EAGAIN: transmit interrupts are on */
};
static struct rtl8139 card;

/*
 * The card works through the descriptors in order. TABT (excessive collisions) and TUN mean that it has given the frame up.
 * A descriptor keeps its bits until it is used again, so only those that we have started count.
 */
static void reclaim(struct rtl8139 *c)
{
  uint32_t all = mmio_read16(c->regs, RTL_TSAD);
  uint32_t done = (all >> RTL_TSAD_TOK | all >> RTL_TSAD_TUN | all >> RTL_TSAD_TABT) & 0xf;
  while (c->tx_oldest != c->tx_next && done >> (c->tx_oldest % DESCRIPTORS) & 1) c->tx_oldest++;
}

static int full(const struct rtl8139 *c) { return c->tx_next - c->tx_oldest == DESCRIPTORS; }

static void start_frame(struct rtl8139 *c, const void *frame, unsigned bytes)
{
  unsigned d = c->tx_next++ % DESCRIPTORS;
  uint8_t *buffer = c->tx + d * TX_BUFFER;
  memcpy(buffer, frame, bytes);
  if (bytes < FRAME_MIN) {
    memset(buffer + bytes, 0, FRAME_MIN - bytes);
    bytes = FRAME_MIN;
  }
  mmio_write32(c->regs, RTL_TSD0 + 4 * d, bytes); /* OWN = 0 and early threshold 0: starts it */
}

/* ISR still shows TOK of frames long gone: then the interrupt comes at once, finds nothing, and clears it for the next one. */
static int transmit(struct netdev *dev, const void *frame, unsigned bytes)
{
  struct rtl8139 *c = dev->driver;
  if (bytes > NET_FRAME_MAX) return -22; /* EINVAL */
  if (full(c)) reclaim(c);
  if (full(c)) {
    c->tx_refused = 1;
    mmio_write16(c->regs, RTL_IMR, RX_INTERRUPTS | TX_INTERRUPTS);
    return -11; /* EAGAIN */
  }
  start_frame(c, frame, bytes);
  return 0;
}

static void sent(struct rtl8139 *c)
{
  reclaim(c);
  if (full(c)) return;
  c->tx_refused = 0;
  mmio_write16(c->regs, RTL_IMR, RX_INTERRUPTS);
  net_tx_ready(&c->net);
}

static void start_receiver(struct rtl8139 *c)
{
  c->read = c->told = 0;
  mmio_write32(c->regs, RTL_RBSTART, (uint32_t)dma_address(c->ring));
  mmio_write8(c->regs, RTL_CR, RTL_CR_RE | RTL_CR_TE);
  mmio_write32(c->regs, RTL_RCR, RTL_RCR_APM | RTL_RCR_AB | RTL_RCR_WRAP | RTL_RCR_MXDMA | RTL_RCR_RBLEN_32K | RTL_RCR_RXFTH);
  mmio_write16(c->regs, RTL_CAPR, (uint16_t)-CAPR_BIAS);
}

/* The ring's contents make no sense any more (a card in trouble): what is in it is lost, as frames may be. */
static void restart_receiver(struct rtl8139 *c)
{
  mmio_write8(c->regs, RTL_CR, RTL_CR_TE);
  start_receiver(c);
}

/* Takes the frame at `read`: its bytes in the ring, or 0 if the header is nonsense. */
static uint32_t take_frame(struct rtl8139 *c)
{
  const volatile uint8_t *header = c->ring + c->read;
  uint32_t status = header[0] | header[1] << 8, bytes = header[2] | header[3] << 8;
  if (!(status & RTL_RX_ROK) || bytes <= RTL_FCS || bytes - RTL_FCS > NET_FRAME_MAX) return 0;
  net_receive(&c->net, c->ring + c->read + RTL_RX_HEADER, bytes - RTL_FCS);
  return (RTL_RX_HEADER + bytes + 3) & ~3u; /* frames start on 4-byte boundaries */
}

static void tell_card(struct rtl8139 *c)
{
  dma_fence(); /* the frames have been read before the card may overwrite them */
  c->told = c->read;
  mmio_write16(c->regs, RTL_CAPR, (uint16_t)(c->read - CAPR_BIAS));
}

/*
 * CBR tells how far the card has come; a ring that is exactly full looks like an empty one there, but the card never fills it
 * wholly (it stops when a frame would not fit). What comes after CBR was read raises the interrupt again.
 */
static void receive(struct rtl8139 *c, int overflow)
{
  uint32_t written = mmio_read16(c->regs, RTL_CBR) % RING;
  while (c->read != written) {
    uint32_t bytes = take_frame(c);
    uint32_t ahead = (written - c->read) % RING;
    if (!bytes || bytes > ahead) {
      restart_receiver(c);
      return;
    }
    c->read = (c->read + bytes) % RING;
  }
  if (overflow || (c->read - c->told) % RING >= CAPR_LAG) tell_card(c);
}

/* ISR is cleared before the work: what comes during it raises the line again. */
static void interrupt(struct netdev *dev)
{
  struct rtl8139 *c = dev->driver;
  uint16_t why = mmio_read16(c->regs, RTL_ISR);
  if (!(why & (RX_INTERRUPTS | TX_INTERRUPTS)) || why == 0xffff) return;
  mmio_write16(c->regs, RTL_ISR, why);
  if (why & TX_INTERRUPTS && c->tx_refused) sent(c);
  if (why & RX_INTERRUPTS) receive(c, (why & (RTL_INT_RXOVW | RTL_INT_FOVW)) != 0);
}

static int reset(struct rtl8139 *c)
{
  mmio_write8(c->regs, RTL_CR, RTL_CR_RST);
  for (int i = 0; i < RESET_TRIES; i++) {
    if (!(mmio_read8(c->regs, RTL_CR) & RTL_CR_RST)) return 0;
    clock_delay_ns(10000);
  }
  return -5; /* EIO */
}

static int start(struct rtl8139 *c)
{
  c->ring = dma_alloc(RING + RING_SLACK);
  c->tx = dma_alloc(DESCRIPTORS * TX_BUFFER);
  if (!c->ring || !c->tx || (dma_address(c->ring) | dma_address(c->tx)) >> 32) return -12; /* ENOMEM: 32-bit addresses */
  for (unsigned i = 0; i < sizeof c->net.mac; i++) c->net.mac[i] = mmio_read8(c->regs, RTL_IDR0 + i);
  start_receiver(c); /* TE must be on before TCR and the descriptors are written */
  mmio_write32(c->regs, RTL_TCR, RTL_TCR_IFG | RTL_TCR_MXDMA);
  for (unsigned d = 0; d < DESCRIPTORS; d++)
    mmio_write32(c->regs, RTL_TSAD0 + 4 * d, (uint32_t)dma_address(c->tx + d * TX_BUFFER));
  return 0;
}

static int probe(const struct pci_device *pci)
{
  struct rtl8139 *c = &card;
  if (c->regs) return -11; /* EAGAIN: there is one already */
  c->regs = pci_map_bar(pci, 1, REGISTERS);
  if (!c->regs || !pci->irq || reset(c) || start(c)) {
    kprintf("rtl8139: the card in PCI slot %u does not start\n", pci->slot);
    return -5;
  }
  c->net.name = "rtl8139";
  c->net.driver = c;
  c->net.transmit = transmit;
  c->net.interrupt = interrupt;
  if (net_register(&c->net)) return -11;
  irq_register(pci->irq, net_interrupt, &c->net);
  mmio_write16(c->regs, RTL_IMR, RX_INTERRUPTS);
  return 0;
}

const struct pci_driver rtl8139_driver = {.vendor = 0x10ec, .device = 0x8139, .probe = probe};
