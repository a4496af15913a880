-- Run once by the database's image, when its volume is empty. The ledger's own database is made from POSTGRES_DB.
CREATE DATABASE prefect;
