import { Injectable } from '@nestjs/common';
import { Counter, Gauge } from 'prom-client';
import { Metrics } from '#libs/observability';

/** What the channel reports to Prometheus. */
@Injectable()
export class RealtimeMetrics {
  readonly sockets: Gauge<'transport'>;
  readonly frames: Counter<'transport'>;
  private readonly commands: Counter<'command' | 'outcome'>;
  readonly resyncs: Counter;
  readonly fills: Counter;
  readonly tooSlow: Counter;
  readonly refused: Counter<'reason'>;

  constructor(private readonly metrics: Metrics) {
    const registers = [metrics.registry];
    const counter = <L extends string>(name: string, help: string, labelNames: L[] = []) =>
      new Counter({ name: `chatapi_${name}`, help, labelNames, registers });
    this.sockets = new Gauge({
      name: 'chatapi_sockets_open',
      help: 'Open sockets by transport',
      labelNames: ['transport'],
      registers,
    });
    this.frames = counter('socket_frames_sent_total', 'Frames handed to sockets, by transport', ['transport']);
    this.commands = counter('socket_commands_total', 'Commands by name and outcome', ['command', 'outcome']);
    this.resyncs = counter('socket_resyncs_total', 'Subscriptions that could not be kept gap-free');
    this.fills = counter('socket_fills_total', 'Holes filled from the database');
    this.tooSlow = counter('socket_too_slow_total', 'Connections ended because their reader was too slow (4008)');
    this.refused = counter('socket_refused_total', 'Connections refused or ended by the server, by reason', ['reason']);
  }

  /** A command has been answered. */
  answered(command: string, outcome: string): void {
    this.metrics.answered++;
    this.commands.inc({ command, outcome });
  }
}
