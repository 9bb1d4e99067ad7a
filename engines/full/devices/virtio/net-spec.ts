/** Numbers of the network device (virtio 1.2, 5.1). */

export const NET_F = {
  CSUM: 0,
  GUEST_CSUM: 1,
  MAC: 5,
  HOST_TSO4: 11,
  HOST_TSO6: 12,
  MRG_RXBUF: 15,
  STATUS: 16,
  CTRL_VQ: 17,
  CTRL_RX: 18,
  CTRL_RX_EXTRA: 20,
  MQ: 22,
  CTRL_MAC_ADDR: 23,
} as const;

/** struct virtio_net_hdr (5.1.6), before every frame; byte offsets, all little-endian. */
export const HDR = {
  FLAGS: 0,
  GSO_TYPE: 1,
  GSO_SIZE: 4,
  CSUM_START: 6,
  CSUM_OFFSET: 8,
  NUM_BUFFERS: 10,
  BYTES: 12,
} as const;
export const HDR_F = { NEEDS_CSUM: 1, DATA_VALID: 2 } as const;
export const GSO = { NONE: 0, TCPV4: 1, TCPV6: 4, ECN: 0x80 } as const;

/** struct virtio_net_config (5.1.4). */
export const NET_CONFIG = { MAC: 0, STATUS: 6, MAX_PAIRS: 8, BYTES: 10 } as const;
export const LINK_UP = 1;

/** The control queue (5.1.6.5): class and command. */
export const CTRL = {
  RX: 0,
  RX_NOBCAST: 5,
  MAC: 1,
  MAC_TABLE_SET: 0,
  MAC_ADDR_SET: 1,
  MQ: 4,
  MQ_PAIRS_SET: 0,
} as const;
export const ACK = { OK: 0, ERR: 1 } as const;
