import fc from 'fast-check';

// The same cases in every run, so that failures are reproducible.
fc.configureGlobal({ seed: 20_261_124 });

// While a promise of Dawn's is pending, its binding polls with setImmediate, without a pause: on a software adapter, a third of
// all CPU time. Here it polls every millisecond. A test that needs setImmediate itself imports it from node:timers.
const everyMillisecond = (ask: () => void) => setTimeout(ask, 1);
globalThis.setImmediate = everyMillisecond as unknown as typeof setImmediate;
