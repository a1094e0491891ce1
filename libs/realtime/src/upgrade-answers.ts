import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { requestIdOf, type ApiError } from '#libs/common';
import { rateHeaders, RateLimits } from '#libs/security';
import { rawError } from './raw-error.js';

const API = '/api/v1/';

/** What HTTP answers to who asks for a socket: with the headers of every other answer. */
@Injectable()
export class UpgradeAnswers {
  constructor(private readonly limits: RateLimits) {}

  /** An error instead of the upgrade. */
  refuse(request: IncomingMessage, socket: Duplex, error: ApiError): void {
    socket.end(rawError(error, requestIdOf(request), this.limitsOf(request)));
  }

  /** The headers of an upgrade that is let through. */
  headersOf(request: IncomingMessage): Record<string, string | number> {
    return { 'X-Request-Id': requestIdOf(request), ...this.limitsOf(request) };
  }

  /** Connecting is not counted as a request: of the API's own routes, the limit as it stands without. */
  private limitsOf(request: IncomingMessage): Record<string, number> {
    const rate = request.url?.startsWith(API) ? this.limits.idle('default') : undefined;
    return rate ? rateHeaders(rate) : {};
  }
}
