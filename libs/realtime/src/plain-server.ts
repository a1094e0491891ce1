import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import { Injectable } from '@nestjs/common';
import { ApiError } from '#libs/common';
import { closingOf, CLOSE } from './close-codes.js';
import { asApiError, Commands } from './commands.js';
import { bearerOf, Doorkeeper, urlOf, type Credential } from './doorkeeper.js';
import { Entrance } from './entrance.js';
import { errorFrame } from './frames.js';
import { parse, PlainConnection, ServerSocket } from './plain-connection.js';
import { Timings } from './timings.js';
import { UpgradeAnswers } from './upgrade-answers.js';

/** Where plain WebSocket connects. */
export const OPEN_PATH = '/api/v1/websocket/open';
/** Where Socket.IO connects. */
export const SOCKETIO_PATH = '/socket.io';
/** Longest message of a client, in bytes. */
export const MAX_MESSAGE_BYTES = 64 * 1024;
const MAX_EARLY = 100;
const UPGRADING = /^(connection|upgrade|http2-settings)$/i;

/** Takes upgrades to plain WebSocket on our own path. */
@Injectable()
export class PlainServer {
  private readonly sockets = new Set<ServerSocket>();
  private readonly server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    WebSocket: ServerSocket,
  });

  constructor(
    private readonly doorkeeper: Doorkeeper,
    private readonly entrance: Entrance,
    private readonly commands: Commands,
    private readonly answers: UpgradeAnswers,
    private readonly timings: Timings,
  ) {
    this.server.on('headers', (lines, request) => {
      for (const [name, value] of Object.entries(answers.headersOf(request))) lines.push(`${name}: ${value}`);
    });
    this.server.on('wsClientError', ({ message }, socket, request) => {
      answers.refuse(request, socket, new ApiError('BAD_REQUEST', message));
    });
  }

  attach(http: Server): void {
    http.on('upgrade', (request, socket, head) => this.upgrade(http, request, socket, head));
  }

  /** Closes those that have not shown a key yet; connections are closed by the entrance. */
  close(): void {
    for (const socket of this.sockets) socket.close(CLOSE.goingAway);
  }

  private upgrade(http: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { pathname } = urlOf(request);
    if (pathname.startsWith(`${SOCKETIO_PATH}/`)) return;
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') return serveAsItIs(http, request, socket, head);
    socket.on('error', ignore);
    const refusal =
      pathname.replace(/\/$/, '') === OPEN_PATH
        ? this.doorkeeper.refusalOf(request)
        : new ApiError('RESOURCE_NOT_FOUND', 'No such route');
    if (refusal) return this.answers.refuse(request, socket, refusal);
    this.server.handleUpgrade(request, socket, head, (accepted) => {
      this.greet(accepted as ServerSocket, socket as Socket, request);
    });
  }

  /** Waits for the credential, unless it came with the request; frames that come meanwhile are kept. */
  private greet(socket: ServerSocket, network: Socket, request: IncomingMessage): void {
    const address = this.doorkeeper.addressOf(request);
    const early: string[] = [];
    let entering = false;
    const timer = setTimeout(
      () => dismiss(socket, new ApiError('INVALID_CREDENTIALS', 'No key was shown in time')),
      this.timings.authenticateMs,
    );
    const settle = (): void => {
      clearTimeout(timer);
      this.sockets.delete(socket);
    };
    const enter = (credential: Credential): void => {
      entering = true;
      void this.enter(socket, network, credential, address, settle, early);
    };
    const message = (data: Buffer, isBinary: boolean): void => {
      if (entering) {
        if (isBinary || early.length >= MAX_EARLY) dismiss(socket, new ApiError('BAD_REQUEST', 'Too much, too early'));
        else early.push(data.toString());
        return;
      }
      const token = isBinary ? undefined : tokenOf(data.toString());
      if (token !== undefined) enter({ key: token });
      else dismiss(socket, new ApiError('INVALID_CREDENTIALS', 'The first frame must be auth, with a token'));
    };
    this.sockets.add(socket);
    socket.owner = { message, alive: ignore, lost: settle };
    // From here on the library listens for errors.
    network.off('error', ignore);
    const given = credentialOf(request);
    if (given) enter(given);
  }

  private async enter(
    socket: ServerSocket,
    network: Socket,
    credential: Credential,
    address: string,
    settle: () => void,
    early: string[],
  ): Promise<void> {
    try {
      await this.entrance.enter(credential, address, (key) => {
        if (socket.readyState !== ServerSocket.OPEN) return undefined;
        settle();
        const connection = new PlainConnection(key, this.entrance, socket, network, this.commands);
        for (const text of early) connection.heard(text);
        return connection;
      });
    } catch (error) {
      dismiss(socket, asApiError(error));
    }
  }
}

/** A function of its own: one made on the spot would keep the request alive as long as the socket. */
function ignore(): void {
  // Heard and nothing more: an error nobody hears ends the process.
}

function credentialOf(request: IncomingMessage): Credential | undefined {
  const key = bearerOf(request);
  if (key !== undefined) return { key };
  const ticket = urlOf(request).searchParams.get('ticket');
  return ticket === null ? undefined : { ticket };
}

function tokenOf(text: string): string | undefined {
  const message = parse(text);
  if (typeof message === 'string' || message.type !== 'auth') return undefined;
  const { token } = (message.data ?? {}) as { token?: unknown };
  return typeof token === 'string' ? token : undefined;
}

/** Says why in a frame, then closes. */
function dismiss(socket: ServerSocket, error: ApiError): void {
  if (socket.readyState !== ServerSocket.OPEN) return;
  const { code, detail } = closingOf(error);
  socket.send(errorFrame({ code: error.code, detail, closeCode: code, retryAfter: error.retryAfterSeconds }).json);
  socket.close(code, detail.slice(0, 100));
  setTimeout(() => socket.terminate(), 3_000).unref();
}

/** One that offers another protocol, as some clients offer HTTP/2, is a request like any other: it goes in again without. */
function serveAsItIs(http: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const { method, url, httpVersion, rawHeaders } = request;
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (!UPGRADING.test(rawHeaders[i]!)) text += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`;
  }
  socket.unshift(Buffer.concat([Buffer.from(`${text}\r\n`, 'latin1'), head]));
  http.emit('connection', socket);
}
