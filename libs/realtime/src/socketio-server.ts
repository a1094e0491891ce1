import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import { Injectable } from '@nestjs/common';
import { Server, type Socket } from 'socket.io';
import { ApiError } from '#libs/common';
import { closingOf } from './close-codes.js';
import { asApiError, Commands } from './commands.js';
import { bearerOf, Doorkeeper, type Credential } from './doorkeeper.js';
import { Entrance } from './entrance.js';
import { faultData, serverFrame } from './frames.js';
import { MAX_MESSAGE_BYTES, SOCKETIO_PATH } from './plain-server.js';
import { SocketIoConnection } from './socketio-connection.js';
import { Timings } from './timings.js';
import { UpgradeAnswers } from './upgrade-answers.js';

/** What Engine.IO says of a handshake that it refuses. */
interface RefusedHandshake {
  /** With the response where it is no upgrade, and with the socket where that was let through. */
  req: IncomingMessage & { res?: ServerResponse; websocket?: unknown };
  message: string;
}

/** Socket.IO 4, websocket and long-polling, on the API's own HTTP server. */
@Injectable()
export class SocketIoServer {
  private io: Server | undefined;

  constructor(
    private readonly doorkeeper: Doorkeeper,
    private readonly entrance: Entrance,
    private readonly commands: Commands,
    private readonly answers: UpgradeAnswers,
    private readonly timings: Timings,
  ) {}

  attach(http: HttpServer): void {
    const io = new Server(http, {
      path: SOCKETIO_PATH,
      serveClient: false,
      perMessageDeflate: false,
      httpCompression: false,
      maxHttpBufferSize: MAX_MESSAGE_BYTES,
      connectTimeout: this.timings.authenticateMs,
      // Upgrades to other paths are the plain server's.
      destroyUpgrade: false,
      cors: {
        methods: ['GET', 'POST'],
        origin: (origin, done) => done(null, origin !== undefined && this.doorkeeper.isAllowed(origin, undefined)),
      },
      allowRequest: (request, done) => {
        const refusal = this.doorkeeper.refusalOf(request);
        done(refusal?.message ?? null, refusal === undefined);
      },
    });
    io.engine.on('headers', (headers: object, request: IncomingMessage) => {
      Object.assign(headers, this.answers.headersOf(request));
    });
    io.engine.on('connection_error', (refused: RefusedHandshake) => this.refused(refused));
    io.on('connection', (socket) => void this.connected(socket));
    this.io = io;
  }

  /** Transports that are still open: one that polls takes what it was told last with its next request. */
  get open(): number {
    return this.io?.engine.clientsCount ?? 0;
  }

  /** Ends the transports that have no connection yet. */
  close(): void {
    this.io?.disconnectSockets(true);
    this.io?.engine.close();
  }

  /** Engine.IO is about to refuse: a request in its own way, with our headers; an upgrade has been answered by then. */
  private refused({ req: request, message }: RefusedHandshake): void {
    const { res: response, websocket } = request;
    if (response) {
      for (const [name, value] of Object.entries(this.answers.headersOf(request))) response.setHeader(name, value);
    } else if (!websocket) {
      const error = this.doorkeeper.refusalOf(request) ?? new ApiError('BAD_REQUEST', message);
      this.answers.refuse(request, request.socket, error);
    }
  }

  /**
   * Decided after Socket.IO's own handshake: so a refusal is an `error` event like every other, and a place within the
   * limits is taken only by a socket whose end will be heard of.
   */
  private async connected(socket: Socket): Promise<void> {
    const early: [string, unknown[]][] = [];
    const keep = (event: string, ...args: unknown[]): void => void (early.length < 100 && early.push([event, args]));
    socket.onAny(keep);
    try {
      const request = requestOf(socket);
      if (!request) throw new ApiError('BAD_REQUEST', 'This transport has had its session: open another one');
      const credential = credentialOf(socket);
      const address = this.doorkeeper.addressOf(request);
      forget(socket);
      if (!credential) throw new ApiError('INVALID_CREDENTIALS', 'Invalid or missing API key');
      await this.entrance.enter(credential, address, (key) => {
        socket.offAny(keep);
        if (!socket.connected) return undefined;
        const connection = new SocketIoConnection(key, this.entrance, socket, this.commands);
        for (const [event, args] of early) connection.heard(event, args);
        return connection;
      });
    } catch (error) {
      dismiss(socket, asApiError(error));
    }
  }
}

/** The handshake's request; a client that leaves and comes again on the same transport finds it forgotten. */
function requestOf(socket: Socket): IncomingMessage | null {
  return socket.request as IncomingMessage | null;
}

function credentialOf(socket: Socket): Credential | undefined {
  const { token, ticket } = socket.handshake.auth as { token?: unknown; ticket?: unknown };
  if (typeof token === 'string') return { key: token };
  if (typeof ticket === 'string') return { ticket };
  const key = bearerOf(socket.request);
  return key === undefined ? undefined : { key };
}

const NOTHING = Object.freeze({});

/** The request and the key in it are not needed any more. */
function forget(socket: Socket): void {
  Object.assign(socket.handshake, { headers: NOTHING, query: NOTHING, auth: NOTHING });
  (socket.conn as unknown as { request: unknown }).request = null;
}

function dismiss(socket: Socket, error: ApiError): void {
  const { code, detail } = closingOf(error);
  const data = faultData({ code: error.code, detail, closeCode: code, retryAfter: error.retryAfterSeconds });
  const frame: unknown = JSON.parse(serverFrame('error', data).json);
  socket.emit('error', frame);
  socket.disconnect(true);
}
