/** Numbers of <sys/socket.h> and <netinet/in.h> on Linux, as socket(2) and setsockopt(2) take them. */
export const AF_UNIX = 1;

export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;

export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_TYPE = 3;
export const SO_RCVBUF = 8;
export const SO_LINGER = 13;
export const SO_REUSEPORT = 15;
export const SO_ACCEPTCONN = 30;
export const SO_RCVBUFFORCE = 33;
export const SO_COOKIE = 57;

export const IPPROTO_IP = 0;
export const IP_MTU_DISCOVER = 10;
export const IP_FREEBIND = 15;
/** Source ports per destination instead of per host (Linux 4.2). */
export const IP_BIND_ADDRESS_NO_PORT = 24;

export const IPPROTO_IPV6 = 41;
export const IPV6_MTU_DISCOVER = 23;
export const IPV6_V6ONLY = 26;
/** Of both families: what ICMP says of the path's MTU does not count (Linux 3.15). */
export const PMTUDISC_OMIT = 5;

export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
/** A connection is accepted once its first bytes are there, or after so many seconds. */
export const TCP_DEFER_ACCEPT = 9;
/** 0: what comes is acknowledged a little later, in a handshake too. */
export const TCP_QUICKACK = 12;

/** ioctl(2): bytes that were written and that the peer has not confirmed; `int`. */
export const SIOCOUTQ = 0x5411;

/** Bytes that may wait unsent in a socket before it takes no more; what is on its way does not count. */
export const TCP_NOTSENT_LOWAT = 25;

export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
