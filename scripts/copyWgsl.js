// Copies the kernels' texts beside their compiled host files: dist/ mirrors src/, so `new URL('./x.wgsl', import.meta.url)` holds in both.
import { cpSync } from 'node:fs';

cpSync('src/kernels', 'dist/kernels', {
  recursive: true,
  filter: (path) => !path.endsWith('.ts'),
});
