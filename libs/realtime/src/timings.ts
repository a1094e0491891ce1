import { Injectable } from '@nestjs/common';

/** Times and sizes of the channel, in one place so that tests can shorten them. */
@Injectable()
export class Timings {
  /** To present a key or ticket. */
  authenticateMs = 10_000;
  /** A ticket's life. */
  ticketMs = 30_000;
  /** From a user's last socket to "offline". */
  offlineGraceMs = 5_000;
  /** From a typing command to "not typing". */
  typingMs = 5_000;
  /** How long a hole may stay before it is filled from the database. */
  holeMs = 200;
  /** How often the counters of watched rooms are looked at: alone, with Redis, and while Redis is down. */
  lookMs = { alone: 30_000, shared: 5_000, degraded: 1_000 };
  /** Between two looks at every connection: expiry, deadlines. */
  sweepMs = 500;
  /** A silent plain socket is pinged after the first and given up after the second. */
  pingMs = 25_000;
  silentMs = 60_000;
  /** More commands than this in one second … */
  floodCommands = 50;
  /** … for so many seconds in a row end the connection. */
  floodSeconds = 10;
  /** A process tells Redis it lives every so often, and counts as dead after the second. */
  heartbeatMs = 3_000;
  deadAfterMs = 12_000;
  /** How long a stopping process waits for running commands. */
  drainMs = 5_000;
  /** Longest a stopping process waits for long-polling sockets to fetch the news of it. */
  goodbyeMs = 1_000;
  /** Bytes a slow reader may leave in its buffer. */
  maxBuffered = 1024 * 1024;
}
