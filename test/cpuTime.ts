/** Runs `work` and counts the CPU time of this process meanwhile: how much was done, however busy the machine is otherwise. */
export async function withCpuMs<T>(work: () => T | Promise<T>): Promise<{ value: T; cpuMs: number }> {
  const before = process.cpuUsage();
  const value = await work();
  const { user, system } = process.cpuUsage(before);
  return { value, cpuMs: (user + system) / 1000 };
}
