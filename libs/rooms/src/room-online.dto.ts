import { Ids, Int } from '#libs/common';

/** Who of a room is online. */
export class RoomOnlineDto {
  /** The members with a socket open on any process, or closed less than five seconds ago. */
  @Ids(0, 100_000)
  online_users: string[];

  /** How many they are. */
  @Int(0, 100_000, { example: 2 })
  total_online: number;
}
