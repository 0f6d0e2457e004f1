// @ts-check
/**
 * Times a generation that reports its tokens as they come.
 *
 * @param {(onToken: (token: number) => void) => Promise<void>} generate
 * @returns {Promise<{ tokens: number[], prefillMs: number, msPerToken: number | null }>} `prefillMs`: from the call to
 *   the first token; `msPerToken`: the mean of the third token and those after it, as some engines bind at the second
 */
export async function timedTokens(generate) {
  /** @type {number[]} */
  const tokens = [];
  const times = [performance.now()];
  await generate((token) => {
    tokens.push(token);
    times.push(performance.now());
  });
  const last = times.length - 1;
  return {
    tokens,
    prefillMs: times[1] - times[0],
    msPerToken: last > 2 ? (times[last] - times[2]) / (last - 2) : null,
  };
}
