/** Entry point of a hart's thread. The main thread compiles for it. */
import { ServedHart } from '../cpu/served-hart.js';
import { serveHart } from './hart-thread.js';

serveHart(ServedHart);
