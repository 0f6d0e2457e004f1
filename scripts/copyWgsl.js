// Copies the .wgsl files next to the compiled host files: dist/ mirrors src/, so `new URL('./x.wgsl', import.meta.url)` works in both.
import { cpSync } from 'node:fs';

cpSync('src/kernels', 'dist/kernels', {
  recursive: true,
  filter: (path) => !path.endsWith('.ts'),
});
