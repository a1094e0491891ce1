import { Injectable } from '@nestjs/common';
import { Turnstile } from '#libs/common';

const WIDTH = 6;

/** What the channel reads at a time: thousands that reconnect at once leave connections to REST. */
@Injectable()
export class ReadTurnstile extends Turnstile {
  constructor() {
    super(WIDTH);
  }
}
