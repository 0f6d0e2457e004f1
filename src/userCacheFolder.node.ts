import { homedir } from 'node:os';
import { join } from 'node:path';

/** The folder for files that this package can make again: unpacked drivers, tunings. */
export function userCacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'm2-reasoning');
}
