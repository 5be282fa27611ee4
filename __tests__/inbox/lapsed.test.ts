import { isLapsedBefore } from '../../lib/inbox/stores/postgres-leases.js'
import { isSameAttempt } from '../../lib/inbox/records.js'
import { candidateFor } from '../../lib/inbox/stores/sqlite-gone.js'

test.each([
  ['the same', { owner: 'a', startedAt: 1 }, { owner: 'a', startedAt: 1 }, true],
  ['another one of the same owner', { owner: 'a', startedAt: 1 }, { owner: 'a', startedAt: 2 }, false],
  ['the one of another owner at the same time', { owner: 'a', startedAt: 1 }, { owner: 'b', startedAt: 1 }, false],
  ['none, where nothing runs', { startedAt: 1 }, { startedAt: 1 }, false],
])('an attempt is %s', (_what, one, other, isSame) => {
  expect(isSameAttempt(one, other)).toBe(isSame)
})

test.each([
  ['an attempt that was left behind', { claim: 'A', owner: 'gone', startedAt: 1 }, [true, false, false]],
  ['a due delivery', 'A', [false, false, false]],
] as const)('a candidate for %s ends at most the attempt that was found', (_what, found, ends) => {
  const candidate = candidateFor('me', found)
  expect(candidate).toMatchObject({ claim: 'A', owner: 'me' })
  const attempts = [
    { owner: 'gone', startedAt: 1 },
    { owner: 'gone', startedAt: 2 },
    { owner: 'me', startedAt: 1 },
  ]
  expect(attempts.map((attempt) => 'claim' in candidate && candidate.isLapsed(attempt))).toEqual(ends)
})

test.each([
  ['job:0:0', true],
  ['job:1:4', true],
  ['job:2:0', false], // the ticket itself
  ['job:2:1', false], // another ticket of the same fetch
  ['job:3:0', false], // of a later fetch, whose process may live
  ['job:10:0', false],
  ['job', false],
  ['other:0:0', false],
  ['orphan:7:0', true],
  ['orphan:7:1', false],
  ['orphan:6:0', false],
])('seen from the third fetch of a job, the attempt of %s has lapsed: %p', (owner, hasLapsed) => {
  expect(isLapsedBefore({ id: 'job', retryCount: 2, orphan: 'orphan:7:0' }, owner)).toBe(hasLapsed)
  if (owner.startsWith('orphan')) expect(isLapsedBefore({ id: 'job', retryCount: 2 }, owner)).toBe(false)
})
