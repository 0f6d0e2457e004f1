// @ts-check
/**
 * Times a generation that reports each token.
 *
 * @param {(onToken: (token: number) => void) => Promise<void>} generate
 * @returns {Promise<{ tokens: number[], prefillMs: number, msPerToken: number | null }>} `prefillMs` is the time from the call to
 *   the first token; `msPerToken` is the mean from the third token on, because some engines set up buffers at the second
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
