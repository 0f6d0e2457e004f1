import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** These files take a minute or more on a software adapter. They start first, so that none of them runs last and alone. */
const LONG = [
  'test/stages/goldens',
  'test/kernels/kernels',
  'test/examples',
  'test/chat',
  'test/gpu/mutants',
  'test/cli/generate',
];

class LongFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) =>
      LONG.findIndex((name) => moduleId.includes(`${name}.test`));
    const long = files.filter((file) => rank(file) >= 0).sort((a, b) => rank(a) - rank(b));
    return [...long, ...(await super.sort(files.filter((file) => rank(file) < 0)))];
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/buildOnce.ts'],
    setupFiles: ['test/setup.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    isolate: false, // see test/sharedGpu.ts
    sequence: { sequencer: LongFilesFirst },
  },
});
