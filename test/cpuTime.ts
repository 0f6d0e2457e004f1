/** Runs `work` and measures the CPU time of this process, which does not depend on other load on the machine. */
export async function withCpuMs<T>(work: () => T | Promise<T>): Promise<{ value: T; cpuMs: number }> {
  const before = process.cpuUsage();
  const value = await work();
  const { user, system } = process.cpuUsage(before);
  return { value, cpuMs: (user + system) / 1000 };
}
