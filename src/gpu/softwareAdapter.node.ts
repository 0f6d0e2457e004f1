import { randomUUID } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress } from 'node:zlib';
import { userCacheFolder } from '../userCacheFolder.node.ts';

// dlopen's RTLD_NODELETE | RTLD_LAZY: the library stays loaded although Node finds no addon in it.
const RTLD_LAZY_NODELETE = 0x1001;

/** Whether the user chose a driver through the environment. That choice is never replaced. */
export function driverChosen(): boolean {
  return Boolean(process.env.VK_DRIVER_FILES || process.env.VK_ICD_FILENAMES);
}

/**
 * Loads the Vulkan loader beside the chosen driver if the system has none of its own (a container, a CI machine).
 * Does nothing if there is no such file.
 */
export function loadVulkanBesideDriver(): void {
  const [driverFile] = (process.env.VK_DRIVER_FILES || process.env.VK_ICD_FILENAMES || '').split(delimiter);
  if (driverFile && !systemHasVulkan()) keepLoaded(join(dirname(driverFile), 'libvulkan.so.1'));
}

/**
 * Makes SwiftShader, a Vulkan driver that runs on the CPU, the driver of this process. It comes with the package
 * `@sparticuz/chromium` (a development dependency) and is unpacked once into the user's cache folder. Needs no root.
 *
 * @returns false if the package is not installed or this is not Linux on x64
 */
export async function useSwiftShader(): Promise<boolean> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return false;
  const packageFolder = findChromiumPackage();
  if (packageFolder === null) return false;

  const folder = await unpackOnce(packageFolder);
  process.env.VK_DRIVER_FILES = join(folder, 'vk_swiftshader_icd.json');
  // Dawn finds the loader by its soname once it is loaded; LD_LIBRARY_PATH would have to be set before the process starts.
  keepLoaded(join(folder, 'libvulkan.so.1'));
  return true;
}

/** Whether the system has a Vulkan loader. Call it before Dawn starts: without a loader Dawn prints a warning. */
export function systemHasVulkan(): boolean {
  return process.platform !== 'linux' || keepLoaded('libvulkan.so.1');
}

/** Loads a shared library for the life of the process. @returns whether it could be loaded */
function keepLoaded(library: string): boolean {
  try {
    process.dlopen({ exports: {} }, library, RTLD_LAZY_NODELETE);
    return true;
  } catch (error) {
    // A plain library registers no Node addon, so dlopen always throws. This message means that the library was loaded.
    return error instanceof Error && error.message.includes('did not self-register');
  }
}

function findChromiumPackage(): string | null {
  try {
    const entry = createRequire(import.meta.url).resolve('@sparticuz/chromium');
    return entry.slice(0, entry.lastIndexOf('chromium') + 'chromium'.length);
  } catch {
    return null;
  }
}

async function unpackOnce(packageFolder: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(packageFolder, 'package.json'), 'utf8'));
  try {
    return await unpackInto(join(userCacheFolder(), `swiftshader-${version}`), packageFolder);
  } catch {
    return unpackInto(join(tmpdir(), `m2-reasoning-swiftshader-${version}`), packageFolder); // a read-only home
  }
}

async function unpackInto(folder: string, packageFolder: string): Promise<string> {
  if (existsSync(folder)) return folder;
  const { extract } = await import('tar-fs');
  const partial = `${folder}.${randomUUID()}`; // renamed when complete: two processes may unpack at once
  await mkdir(partial, { recursive: true });
  await pipeline(
    createReadStream(join(packageFolder, 'bin', 'swiftshader.tar.br')),
    createBrotliDecompress(),
    extract(partial),
  );
  await rename(partial, folder).catch(async (error) => {
    await rm(partial, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  });
  return folder;
}
