import { execFileSync } from 'node:child_process';

/** Builds dist/ before the tests, because the command line, the examples and the package run from it. */
export default function buildOnce(): void {
  execFileSync('npm', ['run', 'build', '--silent'], { stdio: 'inherit' });
}
