import { conversionWebhook } from '../dist/esm/index.js'
import { sqliteInbox } from '../dist/esm/sqlite.js'
import fs from 'node:fs'
 fs.rmSync('/tmp/t2.db',{force:true});fs.rmSync('/tmp/t2.db-wal',{force:true})
 const inbox = sqliteInbox('/tmp/t2.db'); let d=0
 const hook = conversionWebhook({ onSuccess: () => {d++} }, { secret:false, inbox })
 const t=performance.now(); let i=0; const N=10000, W=100
 await Promise.all(Array.from({length:W}, async()=>{while(i<N) await hook.accept('conversion=success&orderID=p'+i++)}))
 const ms=performance.now()-t; const d0=d
 while(d<N) await new Promise(r=>setTimeout(r,5))
 const ms2=performance.now()-t-ms
 console.log(W, 'rows/s', Math.round(N/ms*1000), 'drained meanwhile', d0, 'then per s', Math.round((N-d0)/ms2*1000), 'total/s', Math.round(N/(ms+ms2)*1000))
 await hook.close()
