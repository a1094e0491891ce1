import { Injectable } from '@nestjs/common';
import { FairTurnstile } from '#libs/common';

const WIDTH = 6;

/** What the channel reads at a time: thousands that reconnect at once leave connections to REST, and a tenant's leave turns to others. */
@Injectable()
export class ReadTurnstile extends FairTurnstile {
  constructor() {
    super(WIDTH);
  }
}
