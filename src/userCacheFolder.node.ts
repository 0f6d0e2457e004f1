import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where this package keeps what it can make again. */
export function userCacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'm2-reasoning');
}
