import { memoryBudget } from '../../lib/inbox/quarantine.js'
import { memoryRoom } from '../../lib/inbox/stores/memory-claims.js'
import { openMemory } from '../../lib/inbox/memory-inbox.js'
import { describeClaims } from './claims.js'
import { describeConversions } from './conversions.js'
import { describeErasing } from './erasing.js'
import { describeHostile } from './hostile.js'
import type { Kind } from './inboxes.js'
import { describeOperators } from './operators.js'
import { describeQuarantine } from './quarantine.js'
import { describeStrangers } from './strangers.js'
import { describeStuck } from './stuck.js'

const memory: Kind = {
  isDurable: false,
  runs: 100,
  storage: (budget = memoryBudget) =>
    Promise.resolve({
      open: () => Promise.resolve(openMemory(memoryRoom, budget)),
      dispose: () => Promise.resolve(),
    }),
}

describe('memoryInbox', () => {
  describe('conversions', () => describeConversions(memory))
  describe('claims', () => describeClaims(memory))
  describe('operators', () => describeOperators(memory))
  describe('erasing', () => describeErasing(memory))
  describe('hostile arguments', () => describeHostile(memory))
  describe('quarantine', () => describeQuarantine(memory))
  describe('a stuck handler', () => describeStuck(memory))
  describe('strangers', () => describeStrangers(memory))
})
